#pragma once
#include <cstdint>

#include "assay/tensor/simd.h"

namespace assay::ops {

// What is added in all rows alike; z's factor diag, and bias, may be null.
template <class T>
struct ResidualTerms {
  const T *diag, *bias;
  const T* c;          // n numbers, or one
  bool each;           // n
  int64_t activation;  // as ops::Pointwise
};

// One row each; z is there where diag is.
template <class T>
struct ResidualRow {
  void (*forward)(const T* x, const T* m, const T* z, const ResidualTerms<T>& terms, int64_t n, T* out);
  // Adds to ddiag, dbias and dc [n or 1] where their operands are there.
  void (*backward)(const T* g, const T* m, const T* z, const ResidualTerms<T>& terms, int64_t n, T* dm, T* dz, T* ddiag, T* dbias, T* dc);
};
struct ResidualRows {
  ResidualRow<float> f32;
  ResidualRow<double> f64;
};

ASSAY_SIMD_TABLE(ResidualRows, residual_rows)

}  // namespace assay::ops
