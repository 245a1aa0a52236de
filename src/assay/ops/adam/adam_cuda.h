#pragma once
#include <cuda_runtime_api.h>

#include <cstdint>

namespace assay::ops {

// Launchers over raw pointers; no torch type, so that the kernel file compiles in a second. Each returns cudaGetLastError().
struct DecideArguments {
  const void* grads;  // [size], float or double
  int64_t size;
  const void* loss;  // one number of the same type
  double* partial;   // [decide_blocks(size)], scratch
  void* control;     // ControlSlots
  double* log;       // [log_rows, 4]
  int64_t log_rows;
  double beta1, beta2;
  cudaStream_t stream;
};
int decide_blocks(int64_t size);
cudaError_t decide_update(const DecideArguments& a, bool is_double);

struct AdamArguments {
  void *values, *first, *second;
  const void* grads;
  void* shadow;          // bfloat16 or null
  const void* control;   // ControlSlots
  const double* chunks;  // [chunk_count, 4]
  int64_t chunk_count;
  double beta1, beta2, eps;
  bool decoupled;
  cudaStream_t stream;
};
cudaError_t adam_update(const AdamArguments& a, bool is_double);

}  // namespace assay::ops
