#pragma once
#include <cuda_runtime_api.h>

#include <cstdint>

namespace assay::ops {

inline constexpr int64_t kLongestKernel = 32;

// Launchers over raw pointers; no torch type. z, y, g and dz [B, T, V] are float, double, or bfloat16 where `narrow`; weight [V, K], bias and sums are
// float or double.
struct CausalConvArguments {
  const void *z, *weight, *bias;
  void* y;
  int64_t B, T, V, K;
  cudaStream_t stream;
};
cudaError_t causal_conv(const CausalConvArguments& a, bool is_double, bool narrow);

struct CausalConvBackwardArguments {
  const void *g, *z, *weight;
  void* dz;
  void* sums;     // [K + 1, V]: dweight by taps, dbias
  void* partial;  // [causal_conv_pieces(B, T), K + 1, V]
  int64_t B, T, V, K;
  cudaStream_t stream;
};
int causal_conv_pieces(int64_t B, int64_t T);
cudaError_t causal_conv_backward(const CausalConvBackwardArguments& a, bool is_double, bool narrow);

}  // namespace assay::ops
