#pragma once
#include <cuda_runtime_api.h>

#include <cstdint>

namespace assay::ops {

// Launchers over raw pointers; no torch type. Rows of at most 2048.
struct ShiftMaxArguments {
  const void *g, *z;  // [rows, n]; g null: forward
  void* out;          // p, or dz where g is there
  int64_t rows, n, k;
  double tau;
  cudaStream_t stream;
};
cudaError_t shift_max(const ShiftMaxArguments& a, bool is_double);

}  // namespace assay::ops
