#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace assay::fuzz {

inline std::string_view text(const uint8_t* data, size_t size) { return {reinterpret_cast<const char*>(data), size}; }

// Not an assertion: fuzz targets check in release builds, too.
inline void require(bool holds) {
  if (!holds) std::abort();
}

inline bool is_printable(std::string_view message) {
  for (const unsigned char c : message)
    if (c < 0x20 || c == 0x7f) return false;
  return true;
}

}  // namespace assay::fuzz
