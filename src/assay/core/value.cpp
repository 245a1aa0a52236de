#include "assay/core/value.h"

#include <algorithm>
#include <utility>

#include "assay/core/error.h"

namespace assay::core {

namespace {

[[noreturn]] void wrong_kind(const Value& v, const char* wanted) {
  throw DataError("value", std::string(wanted) + " was wanted, but " + v.kind() + " came");
}

auto find_member(auto& object, std::string_view key) {
  return std::find_if(object.begin(), object.end(), [&](const auto& member) { return member.first == key; });
}

bool same_members(const Value::Object& a, const Value& b) {
  if (a.size() != b.size()) return false;
  return std::all_of(a.begin(), a.end(), [&](const auto& member) {
    const Value* other = b.find(member.first);
    return other && member.second == *other;
  });
}

}  // namespace

Value::Value() = default;
Value::Value(bool v) : data_(v) {}
Value::Value(int v) : data_(int64_t{v}) {}
Value::Value(int64_t v) : data_(v) {}
Value::Value(uint64_t v) {
  if (!std::in_range<int64_t>(v)) throw DataError("value", std::to_string(v) + " does not fit a signed 64-bit integer");
  data_ = static_cast<int64_t>(v);
}
Value::Value(double v) : data_(v) {}
Value::Value(const char* v) : data_(std::string(v)) {}
Value::Value(std::string v) : data_(std::move(v)) {}
Value::Value(std::string_view v) : data_(std::string(v)) {}
Value::Value(Array v) : data_(std::move(v)) {}
Value::Value(Object v) : data_(std::move(v)) {}
Value::Value(const Value&) = default;
Value::Value(Value&&) noexcept = default;
Value& Value::operator=(const Value&) = default;
Value& Value::operator=(Value&&) noexcept = default;
Value::~Value() = default;

Value Value::array() { return Value(Array{}); }
Value Value::object() { return Value(Object{}); }

bool Value::is_null() const { return std::holds_alternative<std::monostate>(data_); }
bool Value::is_bool() const { return std::holds_alternative<bool>(data_); }
bool Value::is_int() const { return std::holds_alternative<int64_t>(data_); }
bool Value::is_number() const { return is_int() || std::holds_alternative<double>(data_); }
bool Value::is_string() const { return std::holds_alternative<std::string>(data_); }
bool Value::is_array() const { return std::holds_alternative<Array>(data_); }
bool Value::is_object() const { return std::holds_alternative<Object>(data_); }

const char* Value::kind() const {
  static constexpr const char* names[] = {"null", "boolean", "integer", "number", "string", "array", "object"};
  return names[data_.index()];
}

bool Value::as_bool() const {
  if (!is_bool()) wrong_kind(*this, "boolean");
  return std::get<bool>(data_);
}

int64_t Value::as_int() const {
  if (!is_int()) wrong_kind(*this, "integer");
  return std::get<int64_t>(data_);
}

double Value::as_double() const {
  if (is_int()) return static_cast<double>(std::get<int64_t>(data_));
  if (!is_number()) wrong_kind(*this, "number");
  return std::get<double>(data_);
}

const std::string& Value::as_string() const {
  if (!is_string()) wrong_kind(*this, "string");
  return std::get<std::string>(data_);
}

const Value::Array& Value::as_array() const {
  if (!is_array()) wrong_kind(*this, "array");
  return std::get<Array>(data_);
}

Value::Array& Value::as_array() {
  if (!is_array()) wrong_kind(*this, "array");
  return std::get<Array>(data_);
}

const Value::Object& Value::as_object() const {
  if (!is_object()) wrong_kind(*this, "object");
  return std::get<Object>(data_);
}

Value::Object& Value::as_object() {
  if (!is_object()) wrong_kind(*this, "object");
  return std::get<Object>(data_);
}

const Value* Value::find(std::string_view key) const {
  const Object& members = as_object();
  const auto it = find_member(members, key);
  return it == members.end() ? nullptr : &it->second;
}

const Value& Value::at(std::string_view key) const {
  const Value* found = find(key);
  if (!found) throw DataError("value", "the key '" + printable(key, 80) + "' is missing");
  return *found;
}

Value& Value::operator[](std::string_view key) {
  if (is_null()) data_ = Object{};
  Object& members = as_object();
  const auto it = find_member(members, key);
  if (it != members.end()) return it->second;
  return members.emplace_back(std::string(key), Value()).second;
}

void Value::push_back(Value v) {
  if (is_null()) data_ = Array{};
  as_array().push_back(std::move(v));
}

void Value::erase(std::string_view key) {
  Object& members = as_object();
  const auto it = find_member(members, key);
  if (it != members.end()) members.erase(it);
}

size_t Value::size() const {
  if (is_array()) return as_array().size();
  return is_object() ? as_object().size() : 0;
}

bool Value::operator==(const Value& other) const {
  if (data_.index() != other.data_.index()) return false;
  return is_object() ? same_members(as_object(), other) : data_ == other.data_;
}

}  // namespace assay::core
