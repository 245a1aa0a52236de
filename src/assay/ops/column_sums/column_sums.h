#pragma once
#include "assay/tensor/aten.h"

namespace assay::ops {

// Sums over the rows of x [N, n], float32, float64 or bfloat16 -> [n], float32 for bfloat16, in an order that depends on the shape alone: the gradient
// of a bias.
Tensor column_sums(const Tensor& x);

using ColumnSumsOp = Tensor(const Tensor& x);
void check_column_sums(const Tensor& x);

}  // namespace assay::ops
