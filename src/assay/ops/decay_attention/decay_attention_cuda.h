#pragma once
#include <cuda_runtime_api.h>

#include <cstdint>

namespace assay::ops {

enum class ScoreType { f32, f64, bf16 };

// Elementwise part of decay attention on the GPU; the products around it are cuBLAS calls. No torch type appears here, so that the
// kernel file compiles in a second.
struct DecayScores {
  int64_t batch_heads, heads, length;  // scores are [batch_heads, length, length], head = index mod heads
  const void* decay_logit;             // [heads], float; double beside double scores
  void* scores;                        // q k^T on entry, w q k^T on return (0 for s >= t)
  void* grads = nullptr;               // backward: g v^T on entry, w g v^T on return
  void* row_sums = nullptr;            // backward: [batch_heads, length] of the logits' type, sum_s (t-s-1) w_ts (q.k)(g.v)
  cudaStream_t stream = nullptr;
};

// Returns what cudaGetLastError says after the launch.
cudaError_t weigh_scores(const DecayScores& a, ScoreType type);
cudaError_t weigh_scores_backward(const DecayScores& a, ScoreType type);

}  // namespace assay::ops
