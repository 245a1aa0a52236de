#pragma once
#include "assay/ops/adam/update_numbers.h"
#include "assay/tensor/simd.h"

namespace assay::ops {

// Pieces of flat buffers.
struct AdamRows {
  double (*square_sum_f32)(const float* g, int64_t n);
  double (*square_sum_f64)(const double* g, int64_t n);
  void (*adam_f32)(float* p, const float* g, float* m, float* v, int64_t n, const ChunkNumbers<float>& numbers);
  void (*adam_f64)(double* p, const double* g, double* m, double* v, int64_t n, const ChunkNumbers<double>& numbers);
};

ASSAY_SIMD_TABLE(AdamRows, adam_rows)

}  // namespace assay::ops
