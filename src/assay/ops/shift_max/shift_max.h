#pragma once
#include "assay/tensor/aten.h"

namespace assay::ops {

// ShiftMax over the last axis, a distribution without exponentials [components 9.2]: with u = (z - mean(z)) / tau,
//   phi(u) = (1 + |u|/k)^(k sgn u),   p_i = phi(u_i) / sum_j phi(u_j)
// z [..., n] float32 or float64; k >= 1, tau > 0; p in z's dtype. With upstream gradient g and h_i = 1 / (1 + |u_i|/k) [components 9.3]:
//   a_i = p_i h_i (g_i - sum_j p_j g_j) / tau,   dz_i = a_i - mean(a)
// Saved for backward: z alone; p and h are computed again. Differentiable once. A row with a value that is not finite is NaN.
Tensor shift_max(const Tensor& z, int64_t k, double tau);

// p and h by ordinary calls, not recorded: for rows wider than a kernel takes, and for losses that need both.
struct ShiftMaxParts {
  Tensor p, h;
};
ShiftMaxParts shift_max_parts(const Tensor& z, int64_t k, double tau);

// By ordinary differentiable ATen calls. Its slope at u = 0 is 1 as well: |u| is not differentiated there.
Tensor shift_max_reference(const Tensor& z, int64_t k, double tau);

}  // namespace assay::ops
