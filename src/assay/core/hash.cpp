#include "assay/core/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <vector>

#include "assay/core/file.h"

namespace assay::core {
namespace {

constexpr size_t chunk = size_t{1} << 20;

std::string hex128(XXH128_hash_t h) { return hex64(h.high64) + hex64(h.low64); }

}  // namespace

uint64_t hash64(std::string_view bytes, uint64_t seed) { return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed); }

std::string hex64(uint64_t h) {
  std::string digits(16, '0');
  for (size_t i = digits.size(); i-- > 0; h >>= 4) {
    digits[i] = "0123456789abcdef"[h & 15];
  }
  return digits;
}

std::string hash128_hex(std::string_view bytes) { return hex128(XXH3_128bits(bytes.data(), bytes.size())); }

std::string hash_file(const std::string& path) {
  InputFile file(path);
  XXH3_state_t state;
  XXH3_128bits_reset(&state);
  std::vector<char> buffer(chunk);
  while (const size_t n = file.read(buffer.data(), buffer.size())) {
    XXH3_128bits_update(&state, buffer.data(), n);
  }
  return hex128(XXH3_128bits_digest(&state));
}

}  // namespace assay::core
