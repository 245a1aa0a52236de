#pragma once
// The op's boundary: what its schema hands to the kernels.
#include "assay/tensor/aten.h"

namespace assay::ops {

using MaybeTensor = std::optional<Tensor>;
using NormalizeResult = std::tuple<Tensor, Tensor, Tensor>;  // z, scaled, sum; empty where not wanted
using NormalizeGrads =
    std::tuple<Tensor, Tensor, Tensor, Tensor>;  // dx, dbranch, dscale, dbias; empty without a narrow branch, a scale, a bias

struct NormalizeNumbers {
  double eps;
  bool centered, bf16, with_z;
};
// What is normalised is sum = x + branch, where a branch is given.
using NormalizeForward = NormalizeResult(const Tensor& x, const MaybeTensor& branch, const MaybeTensor& scale, const MaybeTensor& bias,
                                         double eps, bool centered, bool bf16, bool with_z);
// Gradients of z, of scaled and of through may be absent; x is what was normalised. dbranch: dx in bfloat16, where `narrow_branch`.
using NormalizeBackward = NormalizeGrads(const MaybeTensor& dz, const MaybeTensor& dscaled, const MaybeTensor& dthrough, const Tensor& x,
                                         const MaybeTensor& scale, bool with_bias, double eps, bool centered, bool narrow_branch);

void check_normalize(const Tensor& x, const MaybeTensor& branch, const MaybeTensor& scale, const MaybeTensor& bias, bool bf16);

}  // namespace assay::ops
