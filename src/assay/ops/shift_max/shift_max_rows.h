#pragma once
#include <cstdint>

#include "assay/tensor/simd.h"

namespace assay::ops {

// One row each. `slope` [n] is room for the row's slopes.
template <class T>
struct ShiftMaxRow {
  void (*forward)(const T* z, int64_t n, int64_t k, T tau, T* p);
  void (*backward)(const T* g, const T* z, int64_t n, int64_t k, T tau, T* slope, T* dz);
};
struct ShiftMaxRows {
  ShiftMaxRow<float> f32;
  ShiftMaxRow<double> f64;
};

ASSAY_SIMD_TABLE(ShiftMaxRows, shift_max_rows)

}  // namespace assay::ops
