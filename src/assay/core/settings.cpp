#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <set>

#include "assay/core/error.h"
#include "assay/core/hash.h"
#include "assay/core/options.h"
#include "assay/core/options_text.h"

namespace assay::core {

namespace {

constexpr const char* kSettingsSpeaker = "options";

std::string uppercase(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return out;
}

// Environment variables by upper-case name. Two spellings of one name must agree, since neither is the stronger.
std::map<std::string, std::string> by_upper_name(const std::vector<std::pair<std::string, std::string>>& environment,
                                                 const std::set<std::string>& wanted) {
  std::map<std::string, std::string> out;
  for (const auto& [name, value] : environment) {
    const std::string upper = uppercase(name);
    if (!wanted.count(upper)) continue;
    const auto [it, first] = out.emplace(upper, value);
    if (!first && it->second != value)
      throw ConfigError(kSettingsSpeaker, "the environment sets " + upper + " in two spellings, to '" + printable(it->second, 80) +
                                              "' and '" + printable(value, 80) + "'");
  }
  return out;
}

std::set<std::string> uppercase_set(const std::vector<std::string>& names) {
  std::set<std::string> out;
  for (const std::string& name : names) out.insert(uppercase(name));
  return out;
}

std::set<std::string> environment_names(const std::vector<Bound>& sections) {
  std::set<std::string> out;
  for (const Bound& section : sections)
    for (const Field& field : section.schema().fields())
      for (const std::string& name : field.environment) out.insert(uppercase(name));
  return out;
}

std::string qualified(const Bound& section, const Field& field) { return section.schema().section() + "." + field.name; }

std::string default_text(const Field& field) {
  const Value& v = field.default_value;
  if (v.is_string()) return v.as_string().empty() ? "\"\"" : v.as_string();
  if (!v.is_array()) return to_json(v);
  std::string out;
  for (const Value& e : v.as_array()) out += (out.empty() ? "" : ",") + to_json(e);
  return out.empty() ? "\"\"" : out;
}

std::string remarks(const Field& field) {
  std::string out = field.help;
  if (!field.choices.empty()) out += fmt::format(" ({})", fmt::join(field.choices, ", "));
  if (const std::string range = range_text(field); !range.empty()) out += " (" + range + ")";
  if (!field.environment.empty()) out += fmt::format(" [{}]", fmt::join(field.environment, ", "));
  return out;
}

using Row = std::array<std::string, 4>;  // name, kind, default, remarks

Row help_row(const Field& field) {
  static constexpr const char* kinds[] = {"boolean", "integer", "number", "text", "integers"};
  return {field.name, kinds[static_cast<int>(field.kind)], default_text(field), remarks(field)};
}

void flatten(const Value& v, const std::string& path, std::map<std::string, const Value*>& out) {
  if (!v.is_object()) {
    out[path] = &v;
    return;
  }
  const std::string prefix = path.empty() ? "" : path + ".";
  for (const auto& [key, member] : v.as_object()) flatten(member, prefix + key, out);
}

}  // namespace

void Settings::add(Bound section) {
  const std::string& name = section.schema().section();
  if (find(name)) throw ConfigError(kSettingsSpeaker, "the section '" + name + "' is there already");
  sections_.push_back(std::move(section));
}

Bound* Settings::find(std::string_view section) {
  for (Bound& b : sections_)
    if (b.schema().section() == section) return &b;
  return nullptr;
}

Bound& Settings::section(std::string_view name) {
  if (name == "compat" && !find(name)) name = "model";  // switches back to a published quirk are options of the model
  if (Bound* found = find(name)) return *found;
  std::vector<std::string> known;
  for (const Bound& b : sections_) known.push_back(b.schema().section());
  throw ConfigError(kSettingsSpeaker, unknown_name("section", name, known));
}

void Settings::set_assignment(std::string_view text, Source source) {
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0)
    throw ConfigError(kSettingsSpeaker, "'" + printable(text, 80) + "' came; OPTION=VALUE was wanted");
  set(text.substr(0, equals), Value(text.substr(equals + 1)), source);
}

void Settings::set(std::string_view path, const Value& v, Source source) {
  if (const size_t dot = path.rfind('.'); dot != std::string_view::npos)
    return section(path.substr(0, dot)).set(path.substr(dot + 1), v, source);
  std::vector<Bound*> owners;
  std::vector<std::string> known;
  for (Bound& b : sections_) {
    if (b.schema().find(path)) owners.push_back(&b);
    for (const Field& f : b.schema().fields()) known.push_back(f.name);
  }
  if (owners.empty()) throw ConfigError(kSettingsSpeaker, unknown_name("option", path, known));
  if (owners.size() > 1) {
    std::vector<std::string> paths;
    for (const Bound* b : owners) paths.push_back(b->schema().section() + "." + std::string(path));
    throw ConfigError(kSettingsSpeaker, fmt::format("'{}' could be any of {}; write its section too", path, fmt::join(paths, ", ")));
  }
  owners.front()->set(path, v, source);
}

void Settings::set_document(const Value& document, Source source) {
  if (!document.is_object())
    throw ConfigError(kSettingsSpeaker, std::string("sections of options were wanted, but ") + document.kind() + " came");
  for (const auto& [name, options] : document.as_object()) section(name).set_all(options, source);
}

std::vector<std::string> Settings::set_environment(const std::vector<std::pair<std::string, std::string>>& environment,
                                                   const std::vector<std::string>& known) {
  const std::set<std::string> read = environment_names(sections_);
  const auto values = by_upper_name(environment, read);
  for (Bound& section : sections_)
    for (const Field& field : section.schema().fields())
      for (const std::string& name : field.environment)
        if (const auto it = values.find(uppercase(name)); it != values.end()) {
          const std::string speaker = it->first + " of the environment (" + qualified(section, field) + ")";
          section.set(field.name, checked_as(speaker, field, Value(it->second)), Source::environment);
        }
  std::set<std::string> given;
  for (const auto& [name, value] : environment) given.insert(uppercase(name));
  std::vector<std::string> unread;
  for (const std::string& name : uppercase_set(known))
    if (given.count(name) && !read.count(name)) unread.push_back(name);
  return unread;
}

Value Settings::values() const {
  Value out = Value::object();
  for (const Bound& b : sections_) out[b.schema().section()] = b.values();
  return out;
}

Value Settings::sources() const {
  Value out = Value::object();
  for (const Bound& b : sections_)
    for (const Field& f : b.schema().fields())
      if (const Source s = b.source(f.name); s != Source::fallback) out[qualified(b, f)] = name_of(s);
  return out;
}

std::string Settings::fingerprint() const {
  std::set<std::string> lines;  // sorted, so that the order of declaration does not matter
  for (const Bound& b : sections_) {
    const Value values = b.fingerprinted();
    for (const auto& [name, value] : values.as_object()) {
      const bool zero = value.is_number() && value.as_double() == 0;  // -0.0 and 0.0 are one setting
      lines.insert(b.schema().section() + "." + name + "=" + (zero ? "0" : to_json(value)));
    }
  }
  return hex64(hash64(fmt::format("{}", fmt::join(lines, "\n"))));
}

std::string Settings::help() const {
  std::string out;
  for (const Bound& b : sections_) {
    out += (out.empty() ? "" : "\n") + b.schema().section() + ":\n";
    std::vector<Row> rows;
    for (const Field& f : b.schema().fields()) rows.push_back(help_row(f));
    std::array<size_t, 3> widths{};
    for (const Row& row : rows)
      for (size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    for (const Row& row : rows)
      out += fmt::format("  {:{}}  {:{}}  {:{}}  {}\n", row[0], widths[0], row[1], widths[1], row[2], widths[2], row[3]);
  }
  return out;
}

Value difference(const Value& a, const Value& b) {
  std::map<std::string, const Value*> left, right;
  flatten(a, "", left);
  flatten(b, "", right);
  std::set<std::string> options;
  for (const auto& side : {left, right})
    for (const auto& [option, value] : side) options.insert(option);
  Value out = Value::array();
  for (const std::string& option : options) {
    const Value before = left.count(option) ? *left[option] : Value();
    const Value after = right.count(option) ? *right[option] : Value();
    if (before == after) continue;
    Value row = Value::object();
    row["option"] = option;
    row["a"] = before;
    row["b"] = after;
    out.push_back(std::move(row));
  }
  return out;
}

}  // namespace assay::core
