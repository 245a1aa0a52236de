#pragma once
#include <cstdint>

#include "assay/tensor/simd.h"

namespace assay::ops {

// One row each. scale, bias, z, scaled, dz, dscaled, dthrough may be null; dscale and dbias (added to) are there where they are wanted.
template <class T>
struct NormalizeRow {
  void (*add)(const T* x, const T* branch, int64_t n, T* sum);
  void (*forward)(const T* x, const T* scale, const T* bias, int64_t n, T eps, bool centered, T* z, T* scaled);
  void (*backward)(const T* dz, const T* dscaled, const T* dthrough, const T* x, const T* scale, int64_t n, T eps, bool centered, T* dx,
                   T* dscale, T* dbias);
};
struct NormalizeRows {
  NormalizeRow<float> f32;
  NormalizeRow<double> f64;
};

ASSAY_SIMD_TABLE(NormalizeRows, normalize_rows)

}  // namespace assay::ops
