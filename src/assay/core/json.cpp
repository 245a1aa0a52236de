#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "assay/core/error.h"
#include "assay/core/text_position.h"
#include "assay/core/value.h"

namespace assay::core {

namespace {

using Json = nlohmann::ordered_json;

// Reads the text and tells the handler how far the parser has come, which the library's events do not say.
struct Cursor {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  const char* at;
  const char** furthest;
  reference operator*() const { return *at; }
  Cursor& operator++() {
    *furthest = ++at;
    return *this;
  }
  bool operator==(const Cursor& other) const { return at == other.at; }
  bool operator!=(const Cursor& other) const { return at != other.at; }
};

// Builds a Value from the parser's events. The parser itself keeps its nesting on the heap, so this limit is the only one.
class Builder {
 public:
  Builder(std::string_view text, std::string_view where, ParseLimits limits)
      : text_(text), where_(where), limits_(limits), furthest_(text.data()) {}

  Value run() {
    const char* end = text_.data() + text_.size();
    Json::sax_parse(Cursor{text_.data(), &furthest_}, Cursor{end, &furthest_}, this);
    return std::move(root_);
  }

  bool null() { return add(Value()); }
  bool boolean(bool v) { return add(Value(v)); }
  bool number_integer(int64_t v) { return add(Value(v)); }
  bool number_unsigned(uint64_t v) { return add(std::in_range<int64_t>(v) ? Value(v) : Value(static_cast<double>(v))); }
  bool number_float(double v, const std::string&) { return add(Value(v)); }
  bool string(std::string& v) { return add(Value(std::move(v))); }
  bool binary(Json::binary_t&) { fail("binary data"); }
  bool start_object(size_t) { return open(Value::object()); }
  bool start_array(size_t) { return open(Value::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

  bool key(std::string& v) {
    if (!open_.back().keys.insert(v).second) fail("the key '" + printable(v, 80) + "' comes twice in one object");
    open_.back().value->as_object().emplace_back(v, Value());
    return true;
  }

  bool parse_error(size_t, const std::string&, const Json::exception& e) {
    std::string_view what = e.what();  // "[json.exception.parse_error.101] parse error at line 1, column 2: ..."
    what.remove_prefix(what.find("] ") + 2);
    if (what.starts_with("parse error at")) what.remove_prefix(what.find(": ") + 2);
    fail(std::string(what));
  }

 private:
  struct Open {
    Value* value;  // stays put: only the innermost container grows
    std::unordered_set<std::string> keys;
  };

  [[noreturn]] void fail(const std::string& what) const {
    const auto read = static_cast<size_t>(furthest_ - text_.data());
    const std::string at = text_position(text_, read == 0 ? 0 : read - 1);
    throw DataError("json", printable(where_, 120) + " at " + at + ": " + what);
  }

  Value* place(Value v) {
    if (open_.empty()) {
      root_ = std::move(v);
      return &root_;
    }
    Value& parent = *open_.back().value;
    if (parent.is_object()) return &(parent.as_object().back().second = std::move(v));
    parent.push_back(std::move(v));
    return &parent.as_array().back();
  }

  bool add(Value v) {
    place(std::move(v));
    return true;
  }

  bool open(Value v) {
    if (static_cast<int>(open_.size()) >= limits_.depth) fail("nested deeper than " + std::to_string(limits_.depth) + " levels");
    open_.push_back({place(std::move(v)), {}});
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  std::string_view text_;
  std::string_view where_;
  ParseLimits limits_;
  const char* furthest_;
  Value root_;
  std::vector<Open> open_;
};

Json to_library(const Value& v) {
  if (v.is_null()) return nullptr;
  if (v.is_bool()) return v.as_bool();
  if (v.is_int()) return v.as_int();
  if (v.is_number()) return v.as_double();
  if (v.is_string()) return v.as_string();
  if (v.is_array()) {
    Json::array_t out;
    for (const Value& e : v.as_array()) out.push_back(to_library(e));
    return out;
  }
  Json::object_t out;
  for (const auto& [key, member] : v.as_object()) out.push_back({key, to_library(member)});
  return out;
}

}  // namespace

Value parse_json(std::string_view text, std::string_view where, ParseLimits limits) {
  check_size(text, "json", where, limits);
  return Builder(text, where, limits).run();
}

std::string to_json(const Value& v, int indent) { return to_library(v).dump(indent, ' ', false, Json::error_handler_t::replace); }

}  // namespace assay::core
