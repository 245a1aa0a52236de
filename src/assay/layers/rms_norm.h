#pragma once
#include "assay/tensor/aten.h"

namespace assay::layers {

// rho(z) = z (mean(z^2) + eps)^(-1/2) over the last axis, without a weight. float32 or float64, any device; result contiguous. One pass a row each
// way (ops/normalize).
Tensor rms_norm(const Tensor& z, double eps);

}  // namespace assay::layers
