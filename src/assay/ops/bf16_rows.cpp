// Compiled once for each instruction set (cmake/Simd.cmake).
#include "assay/ops/bf16_rows.h"

namespace assay::ops::ASSAY_CAPABILITY {
namespace {

void widen(const uint16_t* __restrict from, int64_t n, float* __restrict to) {
  for (int64_t i = 0; i < n; ++i) to[i] = __builtin_bit_cast(float, static_cast<uint32_t>(from[i]) << 16);
}

void narrow(const float* __restrict from, int64_t n, uint16_t* __restrict to) {
  for (int64_t i = 0; i < n; ++i) {
    const auto bits = __builtin_bit_cast(uint32_t, from[i]);
    const uint32_t rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
    to[i] = static_cast<uint16_t>((bits & 0x7fffffffU) > 0x7f800000U ? 0x7fc0U : rounded);
  }
}

}  // namespace

const Bf16Rows bf16_rows{&widen, &narrow};

}  // namespace assay::ops::ASSAY_CAPABILITY
