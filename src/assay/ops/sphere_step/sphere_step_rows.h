#pragma once
#include <cstdint>

#include "assay/tensor/simd.h"

namespace assay::ops {

// One row each; rho with step [n] may be null. forward returns r; backward adds dx rho to `sums` [n] where rho is there.
template <class T>
struct SphereRow {
  T (*forward)(const T* x, const T* rho, const T* step, int64_t n, T eps, T* y);
  void (*backward)(const T* dy, const T* y, T r, const T* rho, const T* step, int64_t n, T* dx, T* drho, T* sums);
};
struct SphereRows {
  SphereRow<float> f32;
  SphereRow<double> f64;
};

ASSAY_SIMD_TABLE(SphereRows, sphere_rows)

}  // namespace assay::ops
