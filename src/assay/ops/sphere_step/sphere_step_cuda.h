#pragma once
#include <cuda_runtime_api.h>

#include <cstdint>

namespace assay::ops {

// Launchers over raw pointers; no torch type. x, alpha, gate, y, r and dx are float or double; rho and drho the same, or bfloat16 where
// `rho_narrow`; narrow and dnarrow are bfloat16.
struct SphereArguments {
  const void *x, *rho, *alpha, *gate;  // rho, alpha and gate may be null
  void *y, *narrow, *r;                // narrow may be null
  int64_t rows, n;
  double eps;
  cudaStream_t stream;
};
cudaError_t sphere_step(const SphereArguments& a, bool is_double, bool rho_narrow);

struct SphereBackwardArguments {
  const void *dy, *dnarrow;  // one of them may be null
  const void *y, *r, *rho, *alpha, *gate;
  void *dx, *drho;
  void *dalpha, *dgate;  // where their operands are there
  void* sums;            // [n], where alpha or gate is there
  void* partial;         // [sphere_blocks(rows, n), n], likewise
  int64_t rows, n;
  cudaStream_t stream;
};
int sphere_blocks(int64_t rows, int64_t n);
cudaError_t sphere_step_backward(const SphereBackwardArguments& a, bool is_double, bool rho_narrow);

}  // namespace assay::ops
