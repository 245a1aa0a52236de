// Rows of up to 2048 through the kernels; wider ones by ordinary calls.
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/gelu_backward.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/silu_backward.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include "assay/ops/residual/residual.h"
#include "assay/ops/residual/residual_cuda.h"
#include "assay/ops/residual/residual_op.h"
#include "assay/ops/row_limits.h"

namespace assay::ops {
namespace {

void check(cudaError_t error) { TORCH_CHECK(error == cudaSuccess, "[residual] CUDA launch failed: ", cudaGetErrorString(error)); }

Tensor slope_of(const Tensor& up, const Tensor& a, Pointwise activation) {
  switch (activation) {
    case Pointwise::gelu: return at::gelu_backward(up, a);
    case Pointwise::relu: return up * (a > 0);
    case Pointwise::relu2: return up * at::relu(a) * 2;
    case Pointwise::swish: return at::silu_backward(up, a);
    case Pointwise::none: break;
  }
  return up;
}

Branch branch_of(const Tensor& m, const MaybeTensor& z, const MaybeTensor& diag, const MaybeTensor& bias, int64_t activation,
                 at::ScalarType dtype) {
  const auto given = [&](const MaybeTensor& t) { return t ? t->to(dtype) : Tensor(); };
  return {m.to(dtype), given(bias), given(diag), given(z), static_cast<Pointwise>(activation)};
}

ResidualGrads wide_rows_backward(const Tensor& g, const Tensor& m, const MaybeTensor& z, const MaybeTensor& diag, const MaybeTensor& bias,
                                 const Tensor& c, int64_t activation) {
  Branch b = branch_of(m, z, diag, bias, activation, g.scalar_type());
  Tensor a = b.m;
  if (b.bias.defined()) a = a + b.bias;
  if (b.diag.defined()) a = a + b.z * b.diag;
  const Tensor zero = at::empty({0}, g.options()),
               value = residual_reference(a * 0, {a, {}, {}, {}, b.activation}, at::ones({1}, g.options()));
  const Tensor d = slope_of(g * c, a, b.activation);
  const auto columns = [&](const Tensor& t) { return t.reshape({-1, t.size(-1)}).sum(0); };
  return {d.to(m.scalar_type()), b.diag.defined() ? (d * b.diag).to(m.scalar_type()) : zero, b.diag.defined() ? columns(d * b.z) : zero,
          b.bias.defined() ? columns(d) : zero, c.numel() > 1 ? columns(g * value) : (g * value).sum().view(c.sizes())};
}

Tensor residual_cuda(const Tensor& given, const Tensor& m, const MaybeTensor& z, const MaybeTensor& diag, const MaybeTensor& bias,
                     const Tensor& c, int64_t activation) {
  check_residual(given, m, z, diag, bias, c, activation);
  const c10::cuda::CUDAGuard guard(given.device());
  const int64_t n = given.size(-1);
  if (n > kWidestRow) return residual_reference(given, branch_of(m, z, diag, bias, activation, given.scalar_type()), c).contiguous();
  const auto dense = [](const MaybeTensor& t) { return t ? t->contiguous() : Tensor(); };
  const auto pointer = [](const Tensor& t) { return t.defined() ? t.const_data_ptr() : nullptr; };
  const Tensor x = given.contiguous(), mm = m.contiguous(), zz = dense(z), d = dense(diag), b = dense(bias), cc = c.contiguous(),
               out = at::empty_like(x);
  check(residual({x.const_data_ptr(), mm.const_data_ptr(), pointer(zz), pointer(d), pointer(b), cc.const_data_ptr(), out.mutable_data_ptr(),
                  x.numel() / n, n, cc.numel(), activation, c10::cuda::getCurrentCUDAStream()},
                 x.scalar_type() == at::kDouble, m.scalar_type() == at::kBFloat16));
  return out;
}

ResidualGrads residual_backward_cuda(const Tensor& given, const Tensor& m, const MaybeTensor& z, const MaybeTensor& diag,
                                     const MaybeTensor& bias, const Tensor& c, int64_t activation) {
  const c10::cuda::CUDAGuard guard(given.device());
  const int64_t n = given.size(-1), rows = given.numel() / n;
  if (n > kWidestRow) return wide_rows_backward(given, m, z, diag, bias, c, activation);
  const auto dense = [](const MaybeTensor& t) { return t ? t->contiguous() : Tensor(); };
  const auto pointer = [](const Tensor& t) { return t.defined() ? t.const_data_ptr() : nullptr; };
  const Tensor g = given.contiguous(), mm = m.contiguous(), zz = dense(z), d = dense(diag), b = dense(bias), cc = c.contiguous(),
               none = at::empty({0}, g.options());
  const int64_t factors = c.numel();
  const Tensor dm = at::empty_like(mm), dz = d.defined() ? at::empty_like(mm) : none, sums = at::empty({2 * n + factors}, g.options()),
               partial = at::empty({residual_blocks(rows, n), 2 * n + factors}, g.options());
  check(residual_backward({g.const_data_ptr(), mm.const_data_ptr(), pointer(zz), pointer(d), pointer(b), cc.const_data_ptr(),
                           dm.mutable_data_ptr(), d.defined() ? dz.mutable_data_ptr() : nullptr, sums.mutable_data_ptr(),
                           partial.mutable_data_ptr(), rows, n, factors, activation, c10::cuda::getCurrentCUDAStream()},
                          g.scalar_type() == at::kDouble, m.scalar_type() == at::kBFloat16));
  // An op's results share no memory: dc is the part that stays.
  return {dm, dz, d.defined() ? sums.narrow(0, 0, n).clone() : none, b.defined() ? sums.narrow(0, n, n).clone() : none,
          sums.narrow(0, 2 * n, factors).view(c.sizes())};
}

}  // namespace

TORCH_LIBRARY_IMPL(assay, CUDA, m) {
  m.impl("residual", residual_cuda);
  m.impl("residual_backward", residual_backward_cuda);
}

}  // namespace assay::ops
