#pragma once
// The op's boundary: what its schema hands to the kernels.
#include "assay/tensor/aten.h"

namespace assay::ops {

using MaybeTensor = std::optional<Tensor>;
using ResidualForward = Tensor(const Tensor& x, const Tensor& m, const MaybeTensor& z, const MaybeTensor& diag, const MaybeTensor& bias,
                               const Tensor& c, int64_t activation);
// dm, dz, ddiag, dbias (each empty where its operand is absent), dc.
using ResidualGrads = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor>;
using ResidualBackward = ResidualGrads(const Tensor& g, const Tensor& m, const MaybeTensor& z, const MaybeTensor& diag,
                                       const MaybeTensor& bias, const Tensor& c, int64_t activation);

void check_residual(const Tensor& x, const Tensor& m, const MaybeTensor& z, const MaybeTensor& diag, const MaybeTensor& bias,
                    const Tensor& c, int64_t activation);

}  // namespace assay::ops
