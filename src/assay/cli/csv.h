#pragma once
#include <string>
#include <vector>

#include "assay/core/value.h"

namespace assay::cli {

// Rows as RFC 4180 has them: fields between commas, lines ended by CR LF, a field that holds a comma, a quote or the end of a line in
// quotes. Null is empty, numbers keep all digits. A text that a spreadsheet would run as a formula gets an apostrophe before it.
std::string csv_line(const std::vector<core::Value>& row);

}  // namespace assay::cli
