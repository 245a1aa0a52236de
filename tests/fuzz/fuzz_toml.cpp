#include <algorithm>
#include <cmath>

#include "assay/core/error.h"
#include "assay/core/value.h"
#include "fuzz_text.h"

namespace {

using assay::core::Value;

bool holds_nan(const Value& v) {
  if (v.is_array()) return std::any_of(v.as_array().begin(), v.as_array().end(), holds_nan);
  if (v.is_object()) return std::any_of(v.as_object().begin(), v.as_object().end(), [](const auto& m) { return holds_nan(m.second); });
  return v.is_number() && std::isnan(v.as_double());
}

}  // namespace

// Any text is either refused with a printable message or read; what was read is the same after writing and reading it again.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace assay;
  Value v;
  try {
    v = core::parse_toml(fuzz::text(data, size), "fuzz");
  } catch (const core::DataError& e) {
    fuzz::require(fuzz::is_printable(e.what()));
    return 0;
  }
  // Headers in full are longer than nested tables; a not-a-number differs from itself.
  if (!holds_nan(v)) fuzz::require(core::parse_toml(core::to_toml(v), "again", {size_t{1} << 26, 32}) == v);
  return 0;
}
