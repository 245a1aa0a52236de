#pragma once
#include <cstdint>

#include "assay/tensor/simd.h"

namespace assay::ops {

// One row each. scale, scaled, dz, dscaled, dthrough may be null; dscale (added to) is there where dscaled is.
template <class T>
struct NormalizeRow {
  void (*forward)(const T* x, const T* scale, int64_t n, T eps, T* z, T* scaled);
  void (*backward)(const T* dz, const T* dscaled, const T* dthrough, const T* x, const T* scale, int64_t n, T eps, T* dx, T* dscale);
};
struct NormalizeRows {
  NormalizeRow<float> f32;
  NormalizeRow<double> f64;
};

ASSAY_SIMD_TABLE(NormalizeRows, normalize_rows)

}  // namespace assay::ops
