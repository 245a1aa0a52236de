#pragma once
#include <cuda_runtime_api.h>

#include <cstdint>

namespace assay::ops {

// Launchers over raw pointers; no torch type. x, g, diag, bias, c and the sums are float or double; m, z, dm and dz the same, or bfloat16 where `narrow`.
struct ResidualArguments {
  const void *x, *m, *z, *diag, *bias, *c;  // z with diag, and bias, may be null; c [factors]
  void* out;
  int64_t rows, n, factors, activation;  // factors: n or 1
  cudaStream_t stream;
};
cudaError_t residual(const ResidualArguments& a, bool is_double, bool narrow);

struct ResidualBackwardArguments {
  const void *g, *m, *z, *diag, *bias, *c;
  void *dm, *dz;
  void* sums;     // [2 n + factors]: ddiag, dbias, dc
  void* partial;  // [residual_blocks(rows, n), 2 n + factors]
  int64_t rows, n, factors, activation;
  cudaStream_t stream;
};
int residual_blocks(int64_t rows, int64_t n);
cudaError_t residual_backward(const ResidualBackwardArguments& a, bool is_double, bool narrow);

}  // namespace assay::ops
