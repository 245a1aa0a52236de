#pragma once
// The op's boundary: what its schema hands to the kernels.
#include "assay/tensor/aten.h"

namespace assay::ops {

using ShiftMaxForward = Tensor(const Tensor& z, int64_t k, double tau);
using ShiftMaxBackward = Tensor(const Tensor& g, const Tensor& z, int64_t k, double tau);

void check_shift_max(const Tensor& z, int64_t k, double tau);
void check_shift_max_gradient(const Tensor& g, const Tensor& z, int64_t k, double tau);

}  // namespace assay::ops
