#pragma once
#include "assay/ops/residual/residual.h"
#include "assay/tensor/aten.h"

namespace assay::ops {

// A half-step that maps a state to itself by a matrix of low rank and a diagonal:
//   x' = x + c act((z U) W^T + z diag + bias),   z = x (mean(x^2) + eps)^(-1/2) over the last axis
struct LowRankMap {
  Tensor U, W;        // [V, R]
  Tensor diag, bias;  // [V]
  Pointwise activation = Pointwise::none;
};

// x [..., V] float32 or float64; c one number; all of one dtype. `normalize`, two products and `residual` by tiles of rows that stay in the second-level
// cache (README). Products are of the dtype whatever `train.precision` says: with so few columns they are not what takes the time. Saved for backward:
// x and z U [..., R]. Differentiable once. A kernel of the CPU with AVX2 or AVX-512, R at most 64: `maps_low_rank` says where.
Tensor low_rank_step(const Tensor& x, const LowRankMap& map, const Tensor& c, double eps);
bool maps_low_rank(const Tensor& x, int64_t rank);

// By ordinary differentiable ATen calls.
Tensor low_rank_step_reference(const Tensor& x, const LowRankMap& map, const Tensor& c, double eps);

}  // namespace assay::ops
