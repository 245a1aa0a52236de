#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace assay::core {

// XXH3, 64 and 128 bits. For integrity and identity, not against an adversary.
uint64_t hash64(std::string_view bytes, uint64_t seed = 0);
std::string hex64(uint64_t h);                    // 16 digits
std::string hash128_hex(std::string_view bytes);  // 32 digits
std::string hash_file(const std::string& path);   // 32 digits, streamed; DataError where it cannot be read

}  // namespace assay::core
