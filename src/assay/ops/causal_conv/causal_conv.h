#pragma once
#include "assay/tensor/aten.h"

namespace assay::ops {

// Causal convolution, channel by channel:  y_t = b + sum_j w_j z_{t-(kernel-1)+j},  z_{<0} = 0; tap kernel-1 is the present position.
// z [B, T, V] float32 or float64, or (float32 weights) bfloat16; weight [V, 1, kernel] and bias [V] of z's dtype or float32 beside bfloat16.
// y in z's dtype. Upstream g:  dz_s = sum_j w_j g_{s+(kernel-1)-j},  dw_j = sum_{b,t} g_t z_{t-(kernel-1)+j},  db = sum g, sums in a fixed order.
// Saved for backward: z, weight. Differentiable once.
Tensor causal_conv(const Tensor& z_BTV, const Tensor& weight, const Tensor& bias_V);

// The same, tap after tap by ordinary differentiable ATen calls.
Tensor causal_conv_reference(const Tensor& z_BTV, const Tensor& weight, const Tensor& bias_V);

}  // namespace assay::ops
