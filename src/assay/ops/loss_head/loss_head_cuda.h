#pragma once
#include <cuda_runtime_api.h>

#include <cstdint>

namespace assay::ops {

enum class LossType { f32, f64, bf16 };

// Launcher over raw pointers; no torch type, so that the kernel file compiles in seconds.
struct LossHeadArguments {
  const void* x;           // [batch, length, vocab], rows `stride` elements apart
  const void* gain;        // one number, or null
  const int64_t* targets;  // [batch, length]
  void* dx;                // as x, or null; may be x
  double* row_loss;        // [rows], rows = batch * (last - first)
  double* row_dgain;       // [rows]
  void* loss;              // one number
  void* dgain;             // one number, or null
  int64_t batch, length, vocab, stride, first, last;
  double norm_eps, softcap, z_loss, smoothing;
  cudaStream_t stream;
};
cudaError_t loss_head(const LossHeadArguments& a, LossType type);

}  // namespace assay::ops
