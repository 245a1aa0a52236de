#include "assay/data/utf8.h"

#include <cstdint>
#include <cstring>

namespace assay::data {
namespace {

// What a lead byte demands: the length of the character and the range of the second byte, which excludes overlong forms,
// surrogates and what lies beyond U+10FFFF. Length 0: no character begins so.
struct Lead {
  uint8_t length, low, high;
};

Lead lead(uint8_t b) {
  if (b < 0x80) return {1, 0, 0};
  if (b < 0xC2) return {0, 0, 0};
  if (b < 0xE0) return {2, 0x80, 0xBF};
  if (b == 0xE0) return {3, 0xA0, 0xBF};
  if (b == 0xED) return {3, 0x80, 0x9F};
  if (b < 0xF0) return {3, 0x80, 0xBF};
  if (b == 0xF0) return {4, 0x90, 0xBF};
  if (b < 0xF4) return {4, 0x80, 0xBF};
  if (b == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

// The length of the valid character at the beginning of `text`, or 0.
size_t character_length(std::string_view text) {
  const Lead l = lead(static_cast<uint8_t>(text[0]));
  if (l.length <= 1) return l.length;
  if (text.size() < l.length) return 0;
  const auto second = static_cast<uint8_t>(text[1]);
  if (second < l.low || second > l.high) return 0;
  for (size_t i = 2; i < l.length; ++i) {
    if ((static_cast<uint8_t>(text[i]) & 0xC0) != 0x80) return 0;
  }
  return l.length;
}

bool eight_ascii(const char* p) {
  uint64_t word;
  std::memcpy(&word, p, sizeof word);
  return (word & 0x8080808080808080u) == 0;
}

}  // namespace

std::optional<size_t> invalid_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    if (i + 8 <= text.size() && eight_ascii(text.data() + i)) {
      i += 8;
      continue;
    }
    const size_t length = character_length(text.substr(i));
    if (length == 0) return i;
    i += length;
  }
  return std::nullopt;
}

std::string with_replacements(std::string_view text) {
  std::string out;
  while (const auto bad = invalid_utf8(text)) {
    out.append(text.substr(0, *bad)).append("\xEF\xBF\xBD");
    text.remove_prefix(*bad + 1);
  }
  return out.append(text);
}

}  // namespace assay::data
