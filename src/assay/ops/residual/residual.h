#pragma once
#include "assay/tensor/aten.h"

namespace assay::ops {

enum class Pointwise : int64_t { none = 0, gelu = 1, relu = 2, relu2 = 3, swish = 4 };  // gelu by erf

// The second half of a sublayer: what it computed goes through an activation and is added to the state.
//   x' = x + c act(m + bias + z diag),   c one number or one for each entry of a row
struct Branch {
  Tensor m;           // [..., n]
  Tensor bias, diag;  // [n] or undefined
  Tensor z;           // [..., n], where diag is defined
  Pointwise activation = Pointwise::none;
};

// x [..., n] float32 or float64; c [n], or of one element, of that dtype; m and z of that dtype or (float32 x) both bfloat16; bias and diag of x's.
// With a = m + bias + z diag and upstream g:  dx = g,  dm = c g act'(a),  dz = dm diag,  dbias = sum dm,  ddiag = sum dm z,  dc = sum g act(a),
// sums over rows (and, where c is one number, along them) in a fixed order; dm and dz in m's dtype. relu' (0) = 0. Saved for backward: m, z, bias, diag, c. Differentiable once.
Tensor residual(const Tensor& x, const Branch& branch, const Tensor& c);

// By ordinary differentiable ATen calls.
Tensor residual_reference(const Tensor& x, const Branch& branch, const Tensor& c);

}  // namespace assay::ops
