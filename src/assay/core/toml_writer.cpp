#include <algorithm>
#include <cmath>
#include <string>

#include "assay/core/error.h"
#include "assay/core/value.h"

namespace assay::core {

namespace {

constexpr const char* kTomlSpeaker = "toml";

// A JSON string is a TOML basic string, but for DEL, which JSON leaves as it is.
std::string quoted(const std::string& text) {
  if (!is_utf8(text)) throw ConfigError(kTomlSpeaker, "'" + printable(text, 80) + "' is not valid UTF-8");
  std::string out;
  for (const char c : to_json(text)) {
    if (c == '\x7f') {
      out += "\\u007F";
    } else {
      out += c;
    }
  }
  return out;
}

std::string key_text(const std::string& key) {
  const bool bare = !key.empty() && std::all_of(key.begin(), key.end(), [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  return bare ? key : quoted(key);
}

std::string number_text(double v) {
  if (std::isnan(v)) return "nan";
  if (std::isinf(v)) return v > 0 ? "inf" : "-inf";
  return to_json(v);
}

std::string inline_text(const Value& v);

std::string inline_array(const Value& v) {
  std::string out;
  for (const Value& e : v.as_array()) out += (out.empty() ? "" : ", ") + inline_text(e);
  return "[" + out + "]";
}

std::string inline_table(const Value& v) {
  std::string out;
  for (const auto& [key, member] : v.as_object()) out += (out.empty() ? "" : ", ") + key_text(key) + " = " + inline_text(member);
  return "{" + out + "}";
}

std::string inline_text(const Value& v) {
  if (v.is_null()) throw ConfigError(kTomlSpeaker, "null has no form in TOML; leave the key out");
  if (v.is_string()) return quoted(v.as_string());
  if (v.is_array()) return inline_array(v);
  if (v.is_object()) return inline_table(v);
  return v.is_number() && !v.is_int() ? number_text(v.as_double()) : to_json(v);
}

bool is_table_array(const Value& v) {
  if (!v.is_array() || v.size() == 0) return false;
  return std::all_of(v.as_array().begin(), v.as_array().end(), [](const Value& e) { return e.is_object(); });
}

bool needs_header(const Value& v) { return v.is_object() || is_table_array(v); }

class Writer {
 public:
  // Plain members come first: behind a header they would belong to that header's table.
  void members(const Value& table, const std::string& path) {
    for (const auto& [key, member] : table.as_object())
      if (!needs_header(member)) out_ += key_text(key) + " = " + inline_text(member) + "\n";
    for (const auto& [key, member] : table.as_object())
      if (needs_header(member)) section(member, path.empty() ? key_text(key) : path + "." + key_text(key));
  }

  std::string take() { return std::move(out_); }

 private:
  void section(const Value& v, const std::string& path) {
    if (v.is_object()) {
      header("[" + path + "]");
      return members(v, path);
    }
    for (const Value& element : v.as_array()) {
      header("[[" + path + "]]");
      members(element, path);
    }
  }

  void header(const std::string& text) { out_ += (out_.empty() ? "" : "\n") + text + "\n"; }

  std::string out_;
};

}  // namespace

std::string to_toml(const Value& object) {
  if (!object.is_object()) throw ConfigError(kTomlSpeaker, std::string("a table was wanted, but ") + object.kind() + " came");
  Writer writer;
  writer.members(object, "");
  return writer.take();
}

}  // namespace assay::core
