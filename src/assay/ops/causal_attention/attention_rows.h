#pragma once
#include <cstdint>

#include "assay/tensor/simd.h"

namespace assay::ops {

// One row of scores s [width], of which the first n are seen; the others become 0.
template <class T>
struct AttentionRow {
  // s <- exp(scale s - lse); returns lse = log sum exp(scale s).
  T (*softmax)(T* s, int64_t n, int64_t width, T scale);
  // s <- p = exp(scale s - lse) and dp <- scale p (dp - delta) with delta = g.o over d channels.
  void (*backward)(T* s, T* dp, int64_t n, int64_t width, T scale, T lse, const T* g, const T* o, int64_t d);
};
struct AttentionRows {
  AttentionRow<float> f32;
  AttentionRow<double> f64;
};

ASSAY_SIMD_TABLE(AttentionRows, attention_rows)

}  // namespace assay::ops
