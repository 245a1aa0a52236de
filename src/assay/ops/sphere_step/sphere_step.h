#pragma once
#include "assay/tensor/aten.h"

namespace assay::ops {

// A residual update of a state on the unit sphere, which returns there:
//   h = x + alpha sigmoid(gate) rho,   y = h (sum h^2 + eps)^(-1/2) over the last axis
struct SphereBranch {
  Tensor rho;    // [..., n]; undefined: h = x
  Tensor alpha;  // one number, or undefined = 1
  Tensor gate;   // [n], or undefined: no gate
};
struct OnSphere {
  Tensor y;
  Tensor narrow;  // y in bfloat16 for the products that read it; undefined where it was not asked for
};

// x [..., n] float32 or float64; rho of that dtype or (CUDA, float32 x) bfloat16; alpha and gate of x's. bf16 (CUDA, float32 x): narrow is made, too.
// With upstream gradients g of y and k of narrow, u = g + k, s = alpha sigmoid(gate) and r = (sum h^2 + eps)^(-1/2):
//   dx = r (u - (u . y) y),   drho = s dx,   G = sum over rows of dx rho,   dalpha = sum sigmoid(gate) G,   dgate = G alpha sigmoid'(gate)
// sums over rows in a fixed order. Saved for backward: y, r and the branch. Differentiable once.
// Source: the report on gated residuals in nGPT; Loshchilov et al. 2024.
OnSphere sphere_step(const Tensor& x, const SphereBranch& branch, double eps, bool bf16);

// By ordinary differentiable ATen calls.
Tensor sphere_step_reference(const Tensor& x, const SphereBranch& branch, double eps);

}  // namespace assay::ops
