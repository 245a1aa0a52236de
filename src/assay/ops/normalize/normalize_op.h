#pragma once
// The op's boundary: what its schema hands to the kernels.
#include "assay/tensor/aten.h"

namespace assay::ops {

using Two = std::tuple<Tensor, Tensor>;
using MaybeTensor = std::optional<Tensor>;
using NormalizeForward = Two(const Tensor& x, const MaybeTensor& scale, double eps, bool bf16);
// Gradients of z, of scaled and of through may be absent. -> dx, dscale (empty without a scale).
using NormalizeBackward = Two(const MaybeTensor& dz, const MaybeTensor& dscaled, const MaybeTensor& dthrough, const Tensor& x,
                              const MaybeTensor& scale, double eps);

void check_normalize(const Tensor& x, const MaybeTensor& scale, bool bf16);

}  // namespace assay::ops
