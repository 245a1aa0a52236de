#pragma once
#include "assay/tensor/aten.h"

namespace assay::layers {

// ShiftMax over the last axis, a distribution without exponentials [components 9]: with mu = mean(z), u = (z - mu) / tau,
//   phi_k(u) = (1 + |u|/k)^(k sgn u),   p_i = phi_k(u_i) / sum_j phi_k(u_j),   integer sharpness k >= 1
// One op with its backward in closed form (ops/shift_max). Less confident than softmax at the same tau, for every k. float32 or float64.
// ConfigError for k < 1 or tau <= 0.
Tensor shift_max(const Tensor& z, int64_t k = 1, double tau = 1);

// -ln p_target [...] of logits z [..., n]; dL/dz_i = a_i - mean(a) with a_i = h_i (p_i - [i = target]) / tau, h_i = 1 / (1 + |u_i|/k).
Tensor shift_max_nll(const Tensor& z, const Tensor& targets, int64_t k = 1, double tau = 1);

}  // namespace assay::layers
