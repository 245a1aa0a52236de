#pragma once
// The op's boundary: what its schema hands to the kernels.
#include "assay/tensor/aten.h"

namespace assay::ops {

using MaybeTensor = std::optional<Tensor>;
using SphereResult = std::tuple<Tensor, Tensor, Tensor>;         // y, narrow (empty where not wanted), r [...]
using SphereGrads = std::tuple<Tensor, Tensor, Tensor, Tensor>;  // dx, drho, dalpha, dgate; empty where the operand is absent
using SphereForward = SphereResult(const Tensor& x, const MaybeTensor& rho, const MaybeTensor& alpha, const MaybeTensor& gate, double eps,
                                   bool bf16);
// Gradients of y and of narrow may be absent, not both.
using SphereBackward = SphereGrads(const MaybeTensor& dy, const MaybeTensor& dnarrow, const Tensor& y, const Tensor& r,
                                   const MaybeTensor& rho, const MaybeTensor& alpha, const MaybeTensor& gate);

void check_sphere_step_gradient(const MaybeTensor& dy, const MaybeTensor& dnarrow, const Tensor& y, const Tensor& r, const MaybeTensor& rho,
                                const MaybeTensor& alpha, const MaybeTensor& gate);
void check_sphere_step(const Tensor& x, const MaybeTensor& rho, const MaybeTensor& alpha, const MaybeTensor& gate, bool bf16);

// The same two by ATen calls that are not differentiable, for shapes that no kernel covers.
SphereResult sphere_step_by_calls(const Tensor& x, const MaybeTensor& rho, const MaybeTensor& alpha, const MaybeTensor& gate, double eps,
                                  bool bf16);
SphereGrads sphere_step_backward_by_calls(const MaybeTensor& dy, const MaybeTensor& dnarrow, const Tensor& y, const Tensor& r,
                                          const MaybeTensor& rho, const MaybeTensor& alpha, const MaybeTensor& gate);

}  // namespace assay::ops
