#pragma once
#include <cstdint>

#include "assay/tensor/simd.h"

namespace assay::ops {

// n neighbouring channels of one position.
template <class T>
struct CausalConvRow {
  // to[i] = start[i] (null: 0) + sum_j w[j w_stride + i] from[j from_stride + i] over j < taps.
  void (*forward)(T* to, const T* start, const T* w, int64_t w_stride, const T* from, int64_t from_stride, int64_t taps, int64_t n);
  // dw[j dw_stride + i] += g[i] from[j from_stride + i] over j < taps;  db[i] += g[i].
  void (*weights)(const T* g, const T* from, int64_t from_stride, int64_t taps, int64_t n, T* dw, int64_t dw_stride, T* db);
};
struct CausalConvRows {
  CausalConvRow<float> f32;
  CausalConvRow<double> f64;
};

ASSAY_SIMD_TABLE(CausalConvRows, causal_conv_rows)

}  // namespace assay::ops
