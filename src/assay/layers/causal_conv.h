#pragma once
#include "assay/tensor/aten.h"

namespace assay::layers {

// Causal convolution, channel by channel:  y_t = b + sum_j w_j z_{t-(kernel-1)+j},  z_{<0} = 0; tap kernel-1 is the present position.
// z [B, T, V], weight [V, 1, kernel], bias [V]; float32 or float64, any device. Differentiable once.
Tensor causal_conv(const Tensor& z_BTV, const Tensor& weight, const Tensor& bias_V);

// The same, tap after tap by plain operations.
Tensor causal_conv_reference(const Tensor& z_BTV, const Tensor& weight, const Tensor& bias_V);

}  // namespace assay::layers
