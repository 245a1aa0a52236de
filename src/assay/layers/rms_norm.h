#pragma once
#include "assay/tensor/aten.h"

namespace assay::layers {

// rho(z) = z (mean(z^2) + eps)^(-1/2) over the last axis, without a weight. float32 or float64, any device; result contiguous on the CPU.
// Backward, with r = (mean(z^2) + eps)^(-1/2) and upstream g: dz = r g - r^3 / n (g . z) z  [vocab-space 1.2].
// On the CPU both are one pass a row (ATen composes the norm from five passes there); elsewhere it is ATen's fused kernel.
Tensor rms_norm(const Tensor& z, double eps);

}  // namespace assay::layers
