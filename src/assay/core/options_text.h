#pragma once
#include <string>
#include <string_view>

#include "assay/core/options.h"

// What the two halves of the options (one struct; a set of sections) share. Not for use outside of core.
namespace assay::core {

std::string range_text(const Field& field);   // "from 0 to 10", "of at least 1", "" without limits
std::string wanted_text(const Field& field);  // "a number from 0 to 10"

}  // namespace assay::core
