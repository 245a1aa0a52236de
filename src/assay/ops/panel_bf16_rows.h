#pragma once
#include "assay/ops/panel_rows.h"

namespace assay::ops {

// The products of panel_rows.h for bfloat16 operands with float32 sums, where the processor multiplies them (AVX512-BF16). A float there is the bits of
// a pair of bfloat16 numbers here, neighbours along the sum: `product` counts keys in pairs, its left operand is a matrix of pairs, and
// `pack_transposed` of the float table moves pairs as it moves numbers.
struct Bf16Panels {
  // All null without AVX-512.
  decltype(PanelRows<float>::product) product;
  // panel[k, j] = the pair x[2k, j], x[2k + 1, j] for 2k < keys, each times its row's factor where that is there, rounded; 0 beyond the last.
  void (*pack)(const float* x, int64_t stride, int64_t keys, int64_t count, const float* factor, float* panel);
  // A row of pairs: n numbers times factor, and times columns where that is there, rounded; an odd n is filled up with a 0.
  void (*round)(const float* x, const float* columns, float factor, int64_t n, float* pairs);
};

ASSAY_SIMD_TABLE(Bf16Panels, panel_bf16_rows)

// Whether the processor has the instruction that `product` is made of.
inline bool multiplies_bf16() {
#ifdef ASSAY_SIMD_X86
  static const bool has = __builtin_cpu_supports("avx512bf16") != 0;
  return has && panel_bf16_rows().product != nullptr;
#else
  return false;
#endif
}

}  // namespace assay::ops
