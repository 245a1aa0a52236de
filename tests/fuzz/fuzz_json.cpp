#include "assay/core/error.h"
#include "assay/core/value.h"
#include "fuzz_text.h"

// Any text is either refused with a printable message or read; what was read is the same after writing and reading it again.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace assay;
  const std::string_view text = fuzz::text(data, size);
  core::Value v;
  try {
    v = core::parse_json(text, "fuzz");
  } catch (const core::DataError& e) {
    fuzz::require(fuzz::is_printable(e.what()));
    return 0;
  }
  fuzz::require(core::parse_json(core::to_json(v), "again") == v);
  fuzz::require(core::parse_json(core::to_json(v, 2), "again, indented", {size_t{1} << 26, 64}) == v);
  return 0;
}
