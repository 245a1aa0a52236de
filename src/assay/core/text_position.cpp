#include "assay/core/text_position.h"

#include <algorithm>

#include "assay/core/error.h"

namespace assay::core {

std::string text_position(std::string_view text, size_t offset) {
  const std::string_view before = text.substr(0, offset);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  return "line " + std::to_string(line) + ", column " + std::to_string(before.size() - line_start + 1);
}

void check_size(std::string_view text, std::string_view speaker, std::string_view where, const ParseLimits& limits) {
  if (text.size() <= limits.bytes) return;
  throw DataError(speaker, printable(where, 120) + ": " + std::to_string(text.size()) + " bytes came; at most " +
                               std::to_string(limits.bytes) + " are read");
}

}  // namespace assay::core
