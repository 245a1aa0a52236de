#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace assay::data {

// The byte offset of the first place where `text` is not UTF-8 (RFC 3629: no overlong forms, no surrogates, at most U+10FFFF).
std::optional<size_t> invalid_utf8(std::string_view text);

// `text` with every byte that belongs to no character replaced by U+FFFD, so that it can stand in JSON.
std::string with_replacements(std::string_view text);

}  // namespace assay::data
