#pragma once
#include <cuda_runtime_api.h>

#include <cstdint>

namespace assay::ops {

// Launchers over raw pointers; no torch type. `wide_type` is that of x, scale, dx, dscale and dthrough; `narrow`: z, scaled and their gradients are bfloat16.
struct NormalizeArguments {
  const void *x, *branch, *scale, *bias;  // [rows, n], branch of scaled's type or null; [n] or null
  void *z, *scaled, *sum;                 // each may be null; sum = x + branch
  int64_t rows, n;
  double eps;
  bool centered;
  cudaStream_t stream;
};
cudaError_t normalize(const NormalizeArguments& a, bool is_double, bool narrow);

struct NormalizeBackwardArguments {
  const void *dz, *dscaled, *dthrough;  // each may be null
  const void *x, *scale;
  void *dx, *dbranch, *dsums;  // dbranch: dx in bfloat16, or null; dsums [2n]: of scale, of bias; where dscaled is there
  void* partial;               // [normalize_blocks(rows, n), 2n] of the wide type, where dscaled is there
  bool with_bias;              // else the second half of dsums is left alone
  int64_t rows, n;
  double eps;
  bool centered;
  cudaStream_t stream;
};
int normalize_blocks(int64_t rows, int64_t n);
cudaError_t normalize_backward(const NormalizeBackwardArguments& a, bool is_double, bool narrow);

}  // namespace assay::ops
