#pragma once
// The op's boundary: what its schema hands to the kernels.
#include <tuple>

#include "assay/tensor/aten.h"

namespace assay::ops {

using CausalConvForward = Tensor(const Tensor& z, const Tensor& weight, const Tensor& bias);
using CausalConvGrads = std::tuple<Tensor, Tensor, Tensor>;  // dz, dweight, dbias
using CausalConvBackward = CausalConvGrads(const Tensor& g, const Tensor& z, const Tensor& weight);

void check_causal_conv(const Tensor& z, const Tensor& weight, const Tensor& bias);

}  // namespace assay::ops
