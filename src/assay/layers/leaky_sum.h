#pragma once
#include "assay/tensor/aten.h"

namespace assay::layers {

// Leaky sum over earlier positions, channel by channel:  e_0 = 0,  e_t = d (e_{t-1} + z_{t-1}) = sum_{s<t} d^(t-s) z_s.
// z [B, T, V]; d [V] in (0, 1); float32 or float64, any device. Differentiable once. With the adjoint l_t = g_t + d l_{t+1} of e_t:
//   dz_t = d l_{t+1},  dd = sum_{b,t} l_t (e_{t-1} + z_{t-1})
// On the CPU one pass over time; elsewhere log2(T) doublings. Nothing is divided by a power of d, so no length is too long.
Tensor leaky_sum(const Tensor& z_BTV, const Tensor& d_V);

// The same over the whole T x T table of powers.
Tensor leaky_sum_reference(const Tensor& z_BTV, const Tensor& d_V);

// The published evaluation, which is wrong: (sum_{s<t} w_s z_s) / max(w_t, 1e-8) with w_t = d^(T-1-t). Positions whose w_t is below 1e-8 are
// damped, and which those are depends on T.
Tensor leaky_sum_clamped(const Tensor& z_BTV, const Tensor& d_V);

}  // namespace assay::layers
