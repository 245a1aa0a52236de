#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace assay::core {

// A JSON-like document: what TOML, JSON, command lines and option structs are exchanged as. Objects keep insertion order.
class Value {
 public:
  using Array = std::vector<Value>;
  using Object = std::vector<std::pair<std::string, Value>>;

  Value();  // null
  Value(bool v);
  Value(int v);
  Value(int64_t v);
  Value(uint64_t v);  // DataError above INT64_MAX
  Value(double v);
  Value(const char* v);
  Value(std::string v);
  Value(std::string_view v);
  Value(Array v);
  Value(Object v);
  Value(const Value&);
  Value(Value&&) noexcept;
  Value& operator=(const Value&);
  Value& operator=(Value&&) noexcept;
  ~Value();

  static Value array();
  static Value object();

  bool is_null() const;
  bool is_bool() const;
  bool is_int() const;
  bool is_number() const;  // integer or floating point
  bool is_string() const;
  bool is_array() const;
  bool is_object() const;
  const char* kind() const;  // "null", "boolean", "integer", "number", "string", "array", "object"

  // Checked access; DataError that says what came and what was wanted.
  bool as_bool() const;
  int64_t as_int() const;
  double as_double() const;  // accepts integers
  const std::string& as_string() const;
  const Array& as_array() const;
  Array& as_array();
  const Object& as_object() const;
  Object& as_object();

  // Object member; `find` gives nullptr where it is absent, `at` throws DataError naming the key.
  const Value* find(std::string_view key) const;
  const Value& at(std::string_view key) const;
  Value& operator[](std::string_view key);  // inserts null where absent; turns null into an object
  void push_back(Value v);                  // turns null into an array
  void erase(std::string_view key);
  size_t size() const;  // of an array or object, else 0

  bool operator==(const Value& other) const;  // objects compare without regard to order; 1 and 1.0 differ

 private:
  std::variant<std::monostate, bool, int64_t, double, std::string, Array, Object> data_;
};

// Limits that every parse enforces before and while reading (spec: hostile input is an error, never a crash).
struct ParseLimits {
  size_t bytes = size_t{1} << 20;
  int depth = 64;
};

// Strict JSON (RFC 8259): duplicate keys, NaN, trailing text, invalid UTF-8 and over-deep nesting are DataError.
// `where` names the source in messages. Numbers beyond int64 become double.
Value parse_json(std::string_view text, std::string_view where, ParseLimits limits = {});

// Shortest text that reads back to the same value; doubles keep all digits (17 significant where needed); a non-finite
// double is written as null. indent < 0: one line.
std::string to_json(const Value& v, int indent = -1);

// TOML 1.0; dates and times are refused (no option takes one). The parser recurses with brackets and takes up to 5 KiB of stack a level in
// a build with sanitizers, hence the lower limit.
Value parse_toml(std::string_view text, std::string_view where, ParseLimits limits = {.depth = 32});
std::string to_toml(const Value& object);  // plain members before tables; ConfigError for null and invalid UTF-8

}  // namespace assay::core
