#pragma once
// The op's boundary: what its schema hands to the kernels.
#include "assay/tensor/aten.h"

namespace assay::ops {

using MaybeTensor = std::optional<Tensor>;
using NormalizeResult = std::tuple<Tensor, Tensor>;         // z, scaled; empty where not wanted
using NormalizeGrads = std::tuple<Tensor, Tensor, Tensor>;  // dx, dscale, dbias; empty without a scale or bias

struct NormalizeNumbers {
  double eps;
  bool centered, bf16, with_z;
};
using NormalizeForward = NormalizeResult(const Tensor& x, const MaybeTensor& scale, const MaybeTensor& bias, double eps, bool centered,
                                         bool bf16, bool with_z);
// Gradients of z, of scaled and of through may be absent.
using NormalizeBackward = NormalizeGrads(const MaybeTensor& dz, const MaybeTensor& dscaled, const MaybeTensor& dthrough, const Tensor& x,
                                         const MaybeTensor& scale, bool with_bias, double eps, bool centered);

void check_normalize(const Tensor& x, const MaybeTensor& scale, const MaybeTensor& bias, bool bf16);

}  // namespace assay::ops
