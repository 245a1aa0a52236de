#pragma once
#include <cstdint>

#include "assay/tensor/simd.h"

namespace assay::ops {

// One row of scores s [width], of which the first n are seen; the others become 0.
template <class T>
struct AttentionRow {
  // s <- p = exp(scale s) / sum exp(scale s), scale >= 0.
  void (*softmax)(T* s, int64_t n, int64_t width, T scale);
  // s <- p and dp <- scale p (dp - sum p dp).
  void (*backward)(T* s, T* dp, int64_t n, int64_t width, T scale);
};
struct AttentionRows {
  AttentionRow<float> f32;
  AttentionRow<double> f64;
};

ASSAY_SIMD_TABLE(AttentionRows, attention_rows)

}  // namespace assay::ops
