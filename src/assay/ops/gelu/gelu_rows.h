#pragma once
#include <cstdint>

#include "assay/tensor/simd.h"

namespace assay::ops {

template <class T>
struct GeluRow {
  void (*forward)(const T* u, int64_t n, T* y);
  void (*backward)(const T* u, const T* dy, int64_t n, T* du);
};
struct GeluRows {
  GeluRow<float> f32;
  GeluRow<double> f64;
};

ASSAY_SIMD_TABLE(GeluRows, gelu_rows)

}  // namespace assay::ops
