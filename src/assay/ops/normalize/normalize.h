#pragma once
#include "assay/tensor/aten.h"

namespace assay::ops {

// The first half of a sublayer of a state that is normalised before use:
//   z = x (mean(x^2) + eps)^(-1/2) over the last axis,   scaled = z * scale
struct Normalized {
  Tensor z, scaled;  // scaled is undefined where no scale was given
  Tensor through;    // what was normalised, for the residual sum: what flows back through it is added to dx in the same pass
};

// x [..., n] float32 or float64, scale [n] of the same dtype or undefined. bf16: z and scaled are bfloat16 (float32 x); else of x's dtype.
// With upstream gradients g of z, h of scaled and t of through, r = (mean(x^2) + eps)^(-1/2) and u = g + h scale:
//   dx = t + r u - r^3/n (u . x) x,   dscale = sum over rows of h z                [vocab-space 1.2]
// Saved for backward: x and scale. Differentiable once.
Normalized normalize(const Tensor& x, const Tensor& scale, double eps, bool bf16);

struct AffineNorm {
  double eps = 1e-5;
  bool centered = true;  // LayerNorm: the mean is taken off first; false: RMSNorm
  bool bf16 = false;     // `scaled` is bfloat16 (float32 x)
};

// The same for a block that uses the scaled state alone: with y = x - mean(x) where centered, else y = x,
//   scaled = y (mean(y^2) + eps)^(-1/2) gain + bias
// gain [n]; bias [n] or undefined. z of the result is undefined. With u = dscaled gain and z as above:
//   dx = dthrough + r (u - mean(u) [centered] - z mean(u z)),   dgain = sum dscaled z,   dbias = sum dscaled
// Sources: Ba et al. 2016; Zhang and Sennrich 2019.
Normalized affine_norm(const Tensor& x, const Tensor& gain, const Tensor& bias, const AffineNorm& norm);

// The same of x + branch, which is `through` of the result and takes no pass of its own, nor does the branch's gradient, dx in the branch's dtype.
// branch [..., n]: bfloat16 where norm.bf16 says so, else as x; of another dtype it is added by an ordinary call.
Normalized affine_norm_of_sum(const Tensor& x, const Tensor& branch, const Tensor& gain, const Tensor& bias, const AffineNorm& norm);

// By ordinary differentiable ATen calls.
Normalized normalize_reference(const Tensor& x, const Tensor& scale, double eps);
Normalized affine_norm_reference(const Tensor& x, const Tensor& gain, const Tensor& bias, const AffineNorm& norm);

}  // namespace assay::ops
