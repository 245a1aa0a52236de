#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "assay/core/value.h"
#include "assay/report/campaign.h"

namespace assay::report {

// One object of a file. A field that is absent or null is none; one of another kind is a DataError naming the file and the field's path.
// The document must outlive it.
class Fields {
 public:
  Fields(const core::Value& object, std::string file, std::string path = "");
  std::string text(const char* key) const;  // "" where none
  Number number(const char* key) const;
  std::optional<int64_t> integer(const char* key) const;
  std::optional<bool> flag(const char* key) const;
  std::optional<Interval> interval(const char* key) const;  // [lower, upper], either end null where open
  std::vector<int64_t> integers(const char* key) const;
  std::optional<Fields> object(const char* key) const;
  std::vector<Fields> objects(const char* key) const;
  const core::Value* find(const char* key) const;  // nullptr where absent or null
  std::string required_text(const char* key) const;
  double required_number(const char* key) const;
  int64_t required_integer(const char* key) const;
  [[noreturn]] void fail(const char* key, const std::string& message) const;

 private:
  const core::Value* find(const char* key, bool (core::Value::*is)() const, const char* wanted) const;
  std::string path_of(const char* key) const;
  const core::Value* object_;
  std::string file_, path_;
};

}  // namespace assay::report
