#pragma once
#include "assay/tensor/aten.h"

namespace assay::ops {

// The tanh form of GELU, elementwise:  y = u/2 (1 + tanh(z)) = u sigmoid(2z),  z = sqrt(2/pi) (u + 0.044715 u^3)   (Hendrycks and Gimpel
// 2016)
//   dy/du = s + u s (1 - s) 2 dz/du,  s = sigmoid(2z)
// float32 and float64 on the CPU by one exponential an element, forward and again backward; elsewhere ATen's. Saved for backward: u.
// Differentiable once.
Tensor tanh_gelu(const Tensor& u);

}  // namespace assay::ops
