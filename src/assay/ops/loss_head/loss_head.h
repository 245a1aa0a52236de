#pragma once
#include "assay/tensor/aten.h"

namespace assay::ops {

// What stands between a state (or logits) and the training loss.
struct LossHead {
  double norm_eps = -1;          // >= 0: x is normalised first, z = x (mean(x^2) + eps)^(-1/2); < 0: z = x
  double softcap = 0;            // > 0: l = c tanh(a / c); 0: l = a
  double z_loss = 0;             // weight of logsumexp(l)^2
  double smoothing = 0;          // share of the target that is spread evenly over the vocabulary
  int64_t first = 0, last = -1;  // positions [first, last) of T that count; last < 0: to the end
  bool overwrite = false;        // x's memory receives the gradient: no second tensor of its size. Nobody may read x afterwards
};

// x [B, T, V] float32, float64 or bfloat16; gain: one number of float32 (float64 beside float64), or undefined = 1; targets
// [B, T] int64 in [0, V). With a = gain z:
//   loss = mean over the positions that count of  (1 - s)(lse - l_y) + s (lse - mean l) + z_loss lse^2,   lse = logsumexp(l)
// a scalar in x's dtype (float32 for bfloat16). The gradients with respect to x and gain are computed in the same pass, in float32 inside
// (float64 for float64), so that the logits are read once and nothing else of their size is kept. No second derivative.
// Sources: cross-entropy with softcap [vocab-space 1.4], label smoothing (Szegedy et al. 2016), z-loss (Chowdhery et al. 2022).
Tensor loss_head(const Tensor& x, const Tensor& gain, const Tensor& targets, const LossHead& head);

// The same by ordinary differentiable ATen calls.
Tensor loss_head_reference(const Tensor& x, const Tensor& gain, const Tensor& targets, const LossHead& head);

// Throws c10::Error naming the argument. For the kernels' use.
void check_loss_head(const Tensor& x, const std::optional<Tensor>& gain, const Tensor& targets);

}  // namespace assay::ops
