#pragma once
#include "assay/tensor/aten.h"

namespace assay::ops {

// The first half of a sublayer of a state that is normalised before use:
//   z = x (mean(x^2) + eps)^(-1/2) over the last axis,   scaled = z * scale
struct Normalized {
  Tensor z, scaled;  // scaled is undefined where no scale was given
  Tensor through;    // x again, for the residual sum: what flows back through it is added to dx in the same pass
};

// x [..., n] float32 or float64, scale [n] of the same dtype or undefined. bf16: z and scaled are bfloat16 (CUDA, float32 x); else of x's dtype.
// With upstream gradients g of z, h of scaled and t of through, r = (mean(x^2) + eps)^(-1/2) and u = g + h scale:
//   dx = t + r u - r^3/n (u . x) x,   dscale = sum over rows of h z                [vocab-space 1.2]
// Saved for backward: x and scale. Differentiable once.
Normalized normalize(const Tensor& x, const Tensor& scale, double eps, bool bf16);

// By ordinary differentiable ATen calls.
Normalized normalize_reference(const Tensor& x, const Tensor& scale, double eps);

}  // namespace assay::ops
