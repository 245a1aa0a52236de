#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "assay/core/value.h"

namespace assay::core {

// Options are declared once, beside the struct, by member pointer:
//
//   struct Config {
//     double lr = 0.003;
//     std::string schedule = "cosine";
//     static const Schema& schema() {
//       static const Schema s = declare<Config>("optim", {
//           option("lr", &Config::lr, "peak learning rate", 0.0, 10.0).env("LR"),
//           option("schedule", &Config::schedule, "learning-rate schedule").one_of({"constant", "cosine"}),
//       });
//       return s;
//     }
//   };
//
// Everything else - command line, environment, TOML, JSON, help, range checks, fingerprint, difference of two runs - is a
// visitor over the Schema. Supported member types: bool, int64_t, double, std::string, std::vector<int64_t>.

struct Field {
  enum class Kind { boolean, integer, number, text, integers };
  std::string name;
  Kind kind;
  std::string help;
  double min = -std::numeric_limits<double>::infinity();  // of numbers, of list elements
  double max = std::numeric_limits<double>::infinity();
  std::vector<std::string> choices;      // of text; empty = any
  std::vector<std::string> environment;  // names of the reference implementation that set this option
  bool neutral = false;                  // true: cannot change results (paths, logging); left out of the fingerprint
  Value default_value;
  std::function<void(void*, const Value&)> set;  // after `checked`
  std::function<Value(const void*)> get;
};

template <class T>
class FieldBuilder {
 public:
  explicit FieldBuilder(Field f) : field_(std::move(f)) {}
  FieldBuilder&& env(std::string name) && {
    field_.environment.push_back(std::move(name));
    return std::move(*this);
  }
  FieldBuilder&& one_of(std::initializer_list<const char*> names) && {
    field_.choices.assign(names.begin(), names.end());
    return std::move(*this);
  }
  FieldBuilder&& neutral() && {
    field_.neutral = true;
    return std::move(*this);
  }
  Field copy() const { return field_; }

 private:
  Field field_;
};

namespace detail {
template <class M>
constexpr Field::Kind kind_of() {
  if constexpr (std::is_same_v<M, bool>) return Field::Kind::boolean;
  else if constexpr (std::is_same_v<M, int64_t>) return Field::Kind::integer;
  else if constexpr (std::is_same_v<M, double>) return Field::Kind::number;
  else if constexpr (std::is_same_v<M, std::string>) return Field::Kind::text;
  else {
    static_assert(std::is_same_v<M, std::vector<int64_t>>, "option members are bool, int64_t, double, std::string or std::vector<int64_t>");
    return Field::Kind::integers;
  }
}
template <class M>
M from_value(const Value& v) {
  if constexpr (std::is_same_v<M, bool>) return v.as_bool();
  else if constexpr (std::is_same_v<M, int64_t>) return v.as_int();
  else if constexpr (std::is_same_v<M, double>) return v.as_double();
  else if constexpr (std::is_same_v<M, std::string>) return v.as_string();
  else {
    M out;
    for (const Value& e : v.as_array()) out.push_back(e.as_int());
    return out;
  }
}
template <class M>
Value to_value(const M& m) {
  if constexpr (std::is_same_v<M, std::vector<int64_t>>) {
    Value out = Value::array();
    for (int64_t e : m) out.push_back(e);
    return out;
  } else {
    return Value(m);
  }
}
}  // namespace detail

template <class T, class M>
FieldBuilder<T> option(std::string name, M T::*member, std::string help, double min = -std::numeric_limits<double>::infinity(),
                       double max = std::numeric_limits<double>::infinity()) {
  Field f;
  f.name = std::move(name);
  f.kind = detail::kind_of<M>();
  f.help = std::move(help);
  f.min = min;
  f.max = max;
  f.set = [member](void* object, const Value& v) { static_cast<T*>(object)->*member = detail::from_value<M>(v); };
  f.get = [member](const void* object) { return detail::to_value(static_cast<const T*>(object)->*member); };
  return FieldBuilder<T>(std::move(f));
}

class Schema {
 public:
  Schema(std::string section, std::vector<Field> fields);
  const std::string& section() const { return section_; }
  const std::vector<Field>& fields() const { return fields_; }
  const Field* find(std::string_view name) const;

 private:
  std::string section_;
  std::vector<Field> fields_;
};

template <class T>
Schema declare(std::string section, std::initializer_list<FieldBuilder<T>> builders) {
  const T defaults{};
  std::vector<Field> fields;
  for (const auto& b : builders) {
    fields.push_back(b.copy());
    fields.back().default_value = fields.back().get(&defaults);
  }
  return Schema(std::move(section), std::move(fields));
}

// Where a value came from; later beats earlier.
enum class Source { fallback, recipe, environment, command_line };
const char* name_of(Source s);  // "default", "recipe", "environment", "command line"

// One configurable struct seen through its schema, with the source of every value.
class Bound {
 public:
  Bound(const Schema& schema, void* object) : schema_(&schema), object_(object) {}
  template <class T>
  static Bound of(T& object) {
    return Bound(T::schema(), &object);
  }

  const Schema& schema() const { return *schema_; }
  // Sets one option. ConfigError: unknown name (with the nearest known one), wrong kind, out of range, not a choice. A value
  // from a weaker source than the one that set it before is ignored. `v` may be text ("3", "true", "1,2,3"), parsed by kind.
  void set(std::string_view name, const Value& v, Source source);
  void set_all(const Value& object, Source source);  // every member of an object
  Value get(std::string_view name) const;
  Source source(std::string_view name) const;
  Value values() const;         // all options, in order of declaration
  Value fingerprinted() const;  // without the neutral ones

 private:
  const Field& field(std::string_view name) const;  // ConfigError where there is none

  const Schema* schema_;
  void* object_;
  std::map<std::string, Source, std::less<>> sources_;
};

// Checks kind, range and choices; returns the value converted to the field's kind. ConfigError names section.option.
Value checked(const Schema& schema, const Field& field, const Value& v);
// The same for a value that came under another name, such as a flag or a variable of the environment.
Value checked_as(std::string_view name, const Field& field, const Value& v);

// A set of sections ("model", "optim", ...): the whole configuration of a command.
class Settings {
 public:
  void add(Bound section);
  Bound* find(std::string_view section);
  const std::vector<Bound>& sections() const { return sections_; }
  // "optim.lr=0.01" or, where only one section has the name, "lr=0.01". ConfigError names the nearest known option.
  void set_assignment(std::string_view text, Source source);
  void set(std::string_view path, const Value& v, Source source);
  void set_document(const Value& document, Source source);  // {"optim": {...}, "model": {...}}
  // Takes the reference's environment names (case-insensitive) out of `environment` (name, value) pairs; returns the names
  // that are known to some architecture but are not read by this configuration, given `known` names.
  std::vector<std::string> set_environment(const std::vector<std::pair<std::string, std::string>>& environment,
                                           const std::vector<std::string>& known);
  Value values() const;
  Value sources() const;            // {"optim.lr": "command line", ...} without the defaults
  std::string fingerprint() const;  // 16 hex digits over the non-neutral values
  std::string help() const;         // grouped by section: name, kind, default, range, help, environment name

 private:
  Bound& section(std::string_view name);  // ConfigError with the nearest section

  std::vector<Bound> sections_;
};

// The options in which two configurations differ: [{option, a, b}].
Value difference(const Value& a, const Value& b);

// The closest of `known` to `word` (Damerau-Levenshtein, at most a third of the length), or "".
std::string nearest(std::string_view word, const std::vector<std::string>& known);
// "unknown <what> 'wrd'; did you mean 'word'?" - without a near name those that begin with the word or contain it, without these a list of the
// known ones (at most 20). `also`: names that may be meant and are not listed, such as aliases.
std::string unknown_name(std::string_view what, std::string_view word, const std::vector<std::string>& known,
                         const std::vector<std::string>& also = {});

}  // namespace assay::core
