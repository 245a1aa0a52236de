#pragma once
#include <string>
#include <string_view>

#include "assay/core/value.h"

// What both parsers say about their text. Not for use outside of core.
namespace assay::core {

std::string text_position(std::string_view text, size_t offset);  // "line 3, column 7", both from 1
void check_size(std::string_view text, std::string_view speaker, std::string_view where, const ParseLimits& limits);  // DataError

}  // namespace assay::core
