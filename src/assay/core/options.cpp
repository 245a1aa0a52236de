#include "assay/core/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <optional>

#include "assay/core/error.h"
#include "assay/core/options_text.h"

namespace assay::core {

namespace {

constexpr const char* kSpeaker = "options";

std::vector<std::string> names_of(const std::vector<Field>& fields) {
  std::vector<std::string> out;
  for (const Field& f : fields) out.push_back(f.name);
  return out;
}

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// What a value looks like in a message: short, on one line.
std::string shown(const Value& v) {
  const std::string text = v.is_string() ? "'" + v.as_string() + "'" : to_json(v);
  return printable(text, 80);
}

template <class T>
std::optional<T> number_in(std::string_view text) {
  T out{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, out);
  if (error != std::errc() || stop != end) return std::nullopt;
  return out;
}

std::optional<Value> boolean_in(std::string_view text) {
  std::string low(text);
  for (char& c : low) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (low == "true" || low == "1") return Value(true);
  if (low == "false" || low == "0") return Value(false);
  return std::nullopt;
}

std::optional<Value> integers_in(std::string_view text) {
  Value out = Value::array();
  for (std::string_view rest = trimmed(text); !rest.empty();) {
    const size_t comma = rest.find(',');
    const auto n = number_in<int64_t>(trimmed(rest.substr(0, comma)));
    if (!n) return std::nullopt;
    out.push_back(*n);
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
    if (trimmed(rest).empty()) return std::nullopt;  // "1,2,"
  }
  return out;
}

template <class T>
std::optional<Value> as_value(const std::optional<T>& v) {
  return v ? std::optional<Value>(Value(*v)) : std::nullopt;
}

std::optional<Value> from_text(Field::Kind kind, const std::string& raw) {
  const std::string_view text = trimmed(raw);
  switch (kind) {
    case Field::Kind::boolean: return boolean_in(text);
    case Field::Kind::integer: return as_value(number_in<int64_t>(text));
    case Field::Kind::number: return as_value(number_in<double>(text));
    case Field::Kind::text: return Value(raw);
    case Field::Kind::integers: return integers_in(text);
  }
  return std::nullopt;
}

bool all_integers(const Value& v) {
  const auto& elements = v.as_array();
  return std::all_of(elements.begin(), elements.end(), [](const Value& e) { return e.is_int(); });
}

std::optional<Value> converted(Field::Kind kind, const Value& v) {
  if (v.is_string()) return from_text(kind, v.as_string());
  const bool fits = (kind == Field::Kind::boolean && v.is_bool()) || (kind == Field::Kind::integer && v.is_int()) ||
                    (kind == Field::Kind::number && v.is_number()) || (kind == Field::Kind::integers && v.is_array() && all_integers(v));
  if (!fits) return std::nullopt;
  return kind == Field::Kind::number ? Value(v.as_double()) : v;
}

bool in_range(const Field& field, const Value& v) {
  if (v.is_number()) return std::isfinite(v.as_double()) && v.as_double() >= field.min && v.as_double() <= field.max;
  if (!v.is_array()) return true;
  return std::all_of(v.as_array().begin(), v.as_array().end(), [&](const Value& e) { return in_range(field, e); });
}

bool is_choice(const Field& field, const Value& v) {
  return field.choices.empty() || std::find(field.choices.begin(), field.choices.end(), v.as_string()) != field.choices.end();
}

}  // namespace

std::string wanted_text(const Field& field) {
  static constexpr const char* kinds[] = {"true or false", "an integer", "a number", "text", "integers separated by commas"};
  const std::string range = range_text(field);
  std::string kind = kinds[static_cast<int>(field.kind)];
  if (range.empty()) return kind;
  return kind + (field.kind == Field::Kind::integers ? ", each " : " ") + range;
}

std::string range_text(const Field& field) {
  const bool low = std::isfinite(field.min);
  const bool high = std::isfinite(field.max);
  if (low && high) return fmt::format("from {} to {}", field.min, field.max);
  if (low) return fmt::format("of at least {}", field.min);
  return high ? fmt::format("of at most {}", field.max) : "";
}

Value checked_as(std::string_view came_as, const Field& field, const Value& v) {
  const std::string name = printable(came_as, 120);
  std::optional<Value> out = converted(field.kind, v);
  if (!out || !in_range(field, *out)) throw ConfigError(kSpeaker, name + ": " + shown(v) + " came; " + wanted_text(field) + " was wanted");
  if (field.kind != Field::Kind::text) return *std::move(out);
  if (!is_choice(field, *out)) throw ConfigError(kSpeaker, name + ": " + unknown_name("value", out->as_string(), field.choices));
  if (!is_utf8(out->as_string())) throw ConfigError(kSpeaker, name + ": " + shown(v) + " is not valid UTF-8");
  return *std::move(out);
}

Value checked(const Schema& schema, const Field& field, const Value& v) {
  return checked_as(schema.section() + "." + field.name, field, v);
}

Schema::Schema(std::string section, std::vector<Field> fields) : section_(std::move(section)), fields_(std::move(fields)) {
  for (size_t i = 0; i < fields_.size(); ++i) {
    const Field& field = fields_[i];
    if (find(field.name) != &field) throw ConfigError(kSpeaker, section_ + "." + field.name + " is declared twice");
    checked(*this, field, field.default_value);  // a default that fails its own check could not be read back from a run's file
  }
}

const Field* Schema::find(std::string_view name) const {
  for (const Field& f : fields_)
    if (f.name == name) return &f;
  return nullptr;
}

const char* name_of(Source s) {
  static constexpr const char* names[] = {"default", "recipe", "environment", "command line"};
  return names[static_cast<int>(s)];
}

const Field& Bound::field(std::string_view name) const {
  if (const Field* f = schema_->find(name)) return *f;
  throw ConfigError(kSpeaker, schema_->section() + ": " + unknown_name("option", name, names_of(schema_->fields())));
}

void Bound::set(std::string_view name, const Value& v, Source source) {
  const Field& f = field(name);
  const Value value = checked(*schema_, f, v);  // a faulty value is an error even where a stronger source has spoken
  const auto [it, first] = sources_.try_emplace(f.name, source);
  if (!first && source < it->second) return;
  it->second = source;
  f.set(object_, value);
}

void Bound::set_all(const Value& object, Source source) {
  if (!object.is_object()) throw ConfigError(kSpeaker, schema_->section() + ": " + shown(object) + " came; a table of options was wanted");
  for (const auto& [name, value] : object.as_object()) set(name, value, source);
}

Value Bound::get(std::string_view name) const { return field(name).get(object_); }

Source Bound::source(std::string_view name) const {
  const auto it = sources_.find(field(name).name);
  return it == sources_.end() ? Source::fallback : it->second;
}

Value Bound::values() const {
  Value out = Value::object();
  for (const Field& f : schema_->fields()) out[f.name] = f.get(object_);
  return out;
}

Value Bound::fingerprinted() const {
  Value out = Value::object();
  for (const Field& f : schema_->fields())
    if (!f.neutral) out[f.name] = f.get(object_);
  return out;
}

}  // namespace assay::core
