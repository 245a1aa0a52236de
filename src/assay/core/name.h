#pragma once
#include <algorithm>
#include <cstddef>
#include <string_view>

namespace assay::core {

constexpr size_t kMaxName = 64;
constexpr const char* kNameRule = "1 to 64 letters, digits and _ - . + that do not begin with a sign";

// Letters, digits, _ and, behind the first of these, those of `also`.
inline bool is_word(std::string_view text, std::string_view also) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; };
  return !text.empty() && plain(text.front()) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return plain(c) || also.find(c) != std::string_view::npos; });
}

// What may become a directory and a word of a command line (kNameRule).
inline bool is_name(std::string_view text) { return is_word(text, "-.+") && text.size() <= kMaxName; }

}  // namespace assay::core
