#pragma once
#include <cstdint>

#include "assay/tensor/simd.h"

namespace assay::ops {

// n numbers between bfloat16, as its bits, and float32. To bfloat16: to nearest, ties to even; a NaN stays one.
struct Bf16Rows {
  void (*widen)(const uint16_t* from, int64_t n, float* to);
  void (*narrow)(const float* from, int64_t n, uint16_t* to);
};

ASSAY_SIMD_TABLE(Bf16Rows, bf16_rows)

}  // namespace assay::ops
