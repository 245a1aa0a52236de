#include "assay/core/error.h"

namespace assay::core {
namespace {

constexpr size_t message_limit = 4000;

bool continues(std::string_view text, size_t i) { return i < text.size() && (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80; }

// Bytes of the well-formed sequence at `i`, 0 where there is none. The second byte's range excludes overlong forms, surrogates and
// code points above U+10FFFF (RFC 3629, section 4).
size_t sequence_at(std::string_view text, size_t i) {
  const auto first = static_cast<unsigned char>(text[i]);
  if (first < 0x80) {
    return 1;
  }
  if (first < 0xC2 || first > 0xF4 || !continues(text, i + 1)) {
    return 0;
  }
  if (first < 0xE0) {
    return 2;
  }
  const auto second = static_cast<unsigned char>(text[i + 1]);
  if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) || (first == 0xF0 && second < 0x90) ||
      (first == 0xF4 && second > 0x8F) || !continues(text, i + 2)) {
    return 0;
  }
  if (first < 0xF0) {
    return 3;
  }
  return continues(text, i + 3) ? 4 : 0;
}

bool is_control(std::string_view sequence) {
  const auto first = static_cast<unsigned char>(sequence[0]);
  return first < 0x20 || first == 0x7F || (first == 0xC2 && static_cast<unsigned char>(sequence[1]) < 0xA0);
}

std::string escaped(std::string_view bytes) {
  constexpr const char* digits = "0123456789ABCDEF";
  std::string out;
  for (const char c : bytes) {
    const auto b = static_cast<unsigned char>(c);
    out += "\\x";
    out += digits[b >> 4];
    out += digits[b & 15];
  }
  return out;
}

}  // namespace

Error::Error(Exit code, std::string_view speaker, std::string_view message)
    : std::runtime_error("[" + printable(speaker) + "] " + printable(message, message_limit)), code_(code) {}

std::string printable(std::string_view text, size_t limit) {
  const std::string_view dots = limit >= 3 ? "..." : "";
  std::string out;
  size_t fits_with_dots = 0;
  for (size_t i = 0; i < text.size();) {
    const size_t length = sequence_at(text, i);
    const std::string_view sequence = text.substr(i, length > 0 ? length : 1);
    out += length == 0 || is_control(sequence) ? escaped(sequence) : std::string(sequence);
    if (out.size() > limit) {
      out.resize(fits_with_dots);
      return out.append(dots);
    }
    if (out.size() + dots.size() <= limit) {
      fits_with_dots = out.size();
    }
    i += sequence.size();
  }
  return out;
}

bool is_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const size_t length = sequence_at(text, i);
    if (length == 0) {
      return false;
    }
    i += length;
  }
  return true;
}

}  // namespace assay::core
