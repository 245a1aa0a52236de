#pragma once
#include "assay/tensor/aten.h"

namespace assay::ops {

// A half-step in which a state copies from its own past, by weights that are its similarity to it:
//   x'_t = x_t + c sum_{s<t} lambda^(t-s-1) ((z_t scale) . z_s) z_s,   z = x (mean(x^2) + eps)^(-1/2),   lambda = sigmoid(decay_logit)
//
// x [B, T, V] float32 or float64, scale [V], decay_logit and c one number each, all of one dtype. It is `normalize`, `decay_attention` with queries
// z scale, keys and values z, and `residual` in one: see the README for what that saves. Saved for backward: x, the weighted scores [B, T, T] and the
// factors of the norm [B, T]. Differentiable once. A kernel of the CPU with AVX2 or AVX-512 alone; `propagates` says where it is there and pays.
// With bf16 (float32 x, a processor with AVX512-BF16) operands of the products are rounded to bfloat16; sums and all else stay float32.
Tensor propagation(const Tensor& x, const Tensor& scale, const Tensor& decay_logit, const Tensor& c, double eps, bool bf16 = false);
bool propagates(const Tensor& x, bool bf16 = false);

// By ordinary differentiable ATen calls.
Tensor propagation_reference(const Tensor& x, const Tensor& scale, const Tensor& decay_logit, const Tensor& c, double eps);

}  // namespace assay::ops
