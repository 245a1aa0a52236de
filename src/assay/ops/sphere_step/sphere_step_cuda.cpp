// Rows of up to 2048 through the kernels; wider ones by ordinary calls.
#include "assay/ops/sphere_step/sphere_step_cuda.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include "assay/ops/row_limits.h"
#include "assay/ops/sphere_step/sphere_step_op.h"

namespace assay::ops {
namespace {

void check(cudaError_t error) { TORCH_CHECK(error == cudaSuccess, "[sphere_step] CUDA launch failed: ", cudaGetErrorString(error)); }

Tensor dense(const MaybeTensor& t) { return t ? t->contiguous() : Tensor(); }
const void* pointer(const Tensor& t) { return t.defined() ? t.const_data_ptr() : nullptr; }

SphereResult sphere_step_cuda(const Tensor& given, const MaybeTensor& rho, const MaybeTensor& alpha, const MaybeTensor& gate, double eps,
                              bool bf16) {
  check_sphere_step(given, rho, alpha, gate, bf16);
  const c10::cuda::CUDAGuard guard(given.device());
  const int64_t n = given.size(-1);
  if (n > kWidestRow) return sphere_step_by_calls(given, rho, alpha, gate, eps, bf16);
  const Tensor x = given.contiguous(), branch = dense(rho), a = dense(alpha), g = dense(gate), y = at::empty_like(x);
  const auto half = x.options().dtype(at::kBFloat16);
  const Tensor narrow = bf16 ? at::empty(x.sizes(), half) : at::empty({0}, half),
               r = at::empty(x.sizes().slice(0, x.dim() - 1), x.options());
  check(sphere_step(
      {x.const_data_ptr(), pointer(branch), pointer(a), pointer(g), y.mutable_data_ptr(), bf16 ? narrow.mutable_data_ptr() : nullptr,
       r.mutable_data_ptr(), x.numel() / n, n, eps, c10::cuda::getCurrentCUDAStream()},
      x.scalar_type() == at::kDouble, branch.defined() && branch.scalar_type() == at::kBFloat16));
  return {y, narrow, r};
}

SphereGrads sphere_step_backward_cuda(const MaybeTensor& dy, const MaybeTensor& dnarrow, const Tensor& y, const Tensor& r,
                                      const MaybeTensor& rho, const MaybeTensor& alpha, const MaybeTensor& gate) {
  check_sphere_step_gradient(dy, dnarrow, y, r, rho, alpha, gate);
  const c10::cuda::CUDAGuard guard(y.device());
  const int64_t n = y.size(-1), rows = y.numel() / n;
  if (n > kWidestRow) return sphere_step_backward_by_calls(dy, dnarrow, y, r, rho, alpha, gate);
  const Tensor up = dense(dy), narrow = dense(dnarrow), branch = dense(rho), a = dense(alpha), g = dense(gate),
               none = at::empty({0}, y.options());
  const Tensor dx = at::empty_like(y), drho = rho ? at::empty_like(branch) : none,
               dalpha = alpha ? at::empty(alpha->sizes(), y.options()) : none, dgate = gate ? at::empty({n}, y.options()) : none;
  const bool sums = alpha || gate;
  const Tensor total = sums ? at::empty({n}, y.options()) : none,
               partial = sums ? at::empty({sphere_blocks(rows, n), n}, y.options()) : none;
  const auto target = [](bool wanted, const Tensor& t) { return wanted ? t.mutable_data_ptr() : nullptr; };
  check(sphere_step_backward(
      {pointer(up), pointer(narrow), y.const_data_ptr(), r.const_data_ptr(), pointer(branch), pointer(a), pointer(g), dx.mutable_data_ptr(),
       target(rho.has_value(), drho), target(alpha.has_value(), dalpha), target(gate.has_value(), dgate), target(sums, total),
       target(sums, partial), rows, n, c10::cuda::getCurrentCUDAStream()},
      y.scalar_type() == at::kDouble, branch.defined() && branch.scalar_type() == at::kBFloat16));
  return {dx, drho, dalpha, dgate};
}

}  // namespace

TORCH_LIBRARY_IMPL(assay, CUDA, m) {
  m.impl("sphere_step", sphere_step_cuda);
  m.impl("sphere_step_backward", sphere_step_backward_cuda);
}

}  // namespace assay::ops
