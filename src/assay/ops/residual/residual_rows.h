#pragma once
#include <cstdint>

#include "assay/tensor/simd.h"

namespace assay::ops {

// One row each; z with diag, and bias, may be null. `activation` as ops::Pointwise.
template <class T>
struct ResidualRow {
  void (*forward)(const T* x, const T* m, const T* z, const T* diag, const T* bias, T c, int64_t activation, int64_t n, T* out);
  // Adds to ddiag and dbias where their operands are there; returns the row's part of dc.
  T(*backward)
  (const T* g, const T* m, const T* z, const T* diag, const T* bias, T c, int64_t activation, int64_t n, T* dm, T* dz, T* ddiag, T* dbias);
};
struct ResidualRows {
  ResidualRow<float> f32;
  ResidualRow<double> f64;
};

ASSAY_SIMD_TABLE(ResidualRows, residual_rows)

}  // namespace assay::ops
