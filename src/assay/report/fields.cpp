#include "assay/report/fields.h"

#include "assay/core/error.h"

namespace assay::report {

using core::Value;

Fields::Fields(const Value& object, std::string file, std::string path) : object_(&object), file_(std::move(file)), path_(std::move(path)) {
  if (object.is_object()) return;
  const std::string where = path_.empty() ? "" : "field '" + path_ + "': ";
  throw core::DataError("report", file_ + ": " + where + "wanted an object, found " + object.kind());
}

std::string Fields::path_of(const char* key) const { return path_.empty() ? key : path_ + "." + key; }

void Fields::fail(const char* key, const std::string& message) const {
  throw core::DataError("report", file_ + ": field '" + path_of(key) + "': " + message);
}

const Value* Fields::find(const char* key) const {
  const Value* v = object_->find(key);
  return v && !v->is_null() ? v : nullptr;
}

const Value* Fields::find(const char* key, bool (Value::*is)() const, const char* wanted) const {
  const Value* v = find(key);
  if (v && !(v->*is)()) fail(key, std::string("wanted ") + wanted + ", found " + v->kind());
  return v;
}

std::string Fields::text(const char* key) const {
  const Value* v = find(key, &Value::is_string, "a string");
  return v ? v->as_string() : "";
}

Number Fields::number(const char* key) const {
  const Value* v = find(key, &Value::is_number, "a number");
  return v ? Number(v->as_double()) : std::nullopt;
}

std::optional<int64_t> Fields::integer(const char* key) const {
  const Value* v = find(key, &Value::is_int, "an integer");
  return v ? std::optional(v->as_int()) : std::nullopt;
}

std::optional<bool> Fields::flag(const char* key) const {
  const Value* v = find(key, &Value::is_bool, "true or false");
  return v ? std::optional(v->as_bool()) : std::nullopt;
}

std::optional<Interval> Fields::interval(const char* key) const {
  const Value* v = find(key, &Value::is_array, "[lower, upper]");
  if (!v) return std::nullopt;
  const auto& ends = v->as_array();
  if (ends.size() != 2) fail(key, "wanted [lower, upper], found " + std::to_string(ends.size()) + " values");
  Interval out;
  for (size_t i = 0; i < 2; ++i) {
    if (ends[i].is_null()) continue;
    if (!ends[i].is_number()) fail(key, std::string("wanted numbers, found ") + ends[i].kind());
    (i == 0 ? out.lower : out.upper) = ends[i].as_double();
  }
  if (out.lower && out.upper && *out.lower > *out.upper) fail(key, "the lower end lies above the upper one");
  return out;
}

std::vector<int64_t> Fields::integers(const char* key) const {
  std::vector<int64_t> out;
  const Value* v = find(key, &Value::is_array, "a list of integers");
  if (!v) return out;
  for (const Value& one : v->as_array()) {
    if (!one.is_int()) fail(key, std::string("wanted integers, found ") + one.kind());
    out.push_back(one.as_int());
  }
  return out;
}

std::optional<Fields> Fields::object(const char* key) const {
  const Value* v = find(key);
  return v ? std::optional(Fields(*v, file_, path_of(key))) : std::nullopt;
}

std::vector<Fields> Fields::objects(const char* key) const {
  std::vector<Fields> out;
  const Value* v = find(key, &Value::is_array, "a list of objects");
  if (!v) return out;
  const auto& list = v->as_array();
  for (size_t i = 0; i < list.size(); ++i) out.emplace_back(list[i], file_, path_of(key) + "[" + std::to_string(i) + "]");
  return out;
}

std::string Fields::required_text(const char* key) const {
  if (!find(key)) fail(key, "missing; wanted a string");
  return text(key);
}

double Fields::required_number(const char* key) const {
  if (!find(key)) fail(key, "missing; wanted a number");
  return *number(key);
}

int64_t Fields::required_integer(const char* key) const {
  if (!find(key)) fail(key, "missing; wanted an integer");
  return *integer(key);
}

}  // namespace assay::report
