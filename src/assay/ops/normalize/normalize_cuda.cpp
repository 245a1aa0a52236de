// Rows of up to 2048 through the kernels; wider ones by ATen's own norm and ordinary calls.
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include "assay/ops/normalize/normalize_cuda.h"
#include "assay/ops/normalize/normalize_op.h"
#include "assay/ops/row_limits.h"

namespace assay::ops {
namespace {

void check(cudaError_t error) { TORCH_CHECK(error == cudaSuccess, "[normalize] CUDA launch failed: ", cudaGetErrorString(error)); }

// z = y r with y = x, or x without its mean.
struct Wide {
  Wide(const Tensor& x, double eps, bool centered)
      : y(centered ? x - x.mean(-1, true) : x), r(at::rsqrt(y.square().mean(-1, true) + eps)) {}
  Tensor y, r;
};

NormalizeResult wide_rows(const Tensor& given, const MaybeTensor& branch, const MaybeTensor& scale, const MaybeTensor& bias,
                          const NormalizeNumbers& n) {
  const Tensor x = branch ? (given + *branch).contiguous() : given;
  const auto dtype = n.bf16 ? at::kBFloat16 : x.scalar_type();
  const Wide w(x, n.eps, n.centered);
  const Tensor z = w.y * w.r, none = at::empty({0}, x.options().dtype(dtype));
  const auto scaled = [&] { return bias ? z * *scale + *bias : z * *scale; };
  return {n.with_z ? z.to(dtype).contiguous() : none, scale ? scaled().to(dtype).contiguous() : none,
          branch ? x : at::empty({0}, x.options())};
}

NormalizeGrads wide_rows_backward(const MaybeTensor& dz, const MaybeTensor& dscaled, const MaybeTensor& dthrough, const Tensor& x,
                                  const MaybeTensor& scale, bool with_bias, double eps, bool centered, bool narrow_branch) {
  const int64_t n = x.size(-1);
  const Wide w(x, eps, centered);
  const auto columns = [&](bool want) { return want ? at::zeros({n}, x.options()) : at::empty({0}, x.options()); };
  Tensor u = dz ? dz->to(x.scalar_type()) : at::zeros_like(x), dscale = columns(scale.has_value()), dbias = columns(with_bias);
  if (dscaled) {
    const Tensor h = dscaled->to(x.scalar_type());
    u = u + h * *scale;
    dscale = (h * (w.y * w.r)).reshape({-1, n}).sum(0);
    if (with_bias) dbias = h.reshape({-1, n}).sum(0);
  }
  Tensor dx = w.r * u - w.y * (w.r.pow(3) / static_cast<double>(n) * (u * w.y).sum(-1, true));
  if (centered) dx = dx - w.r * u.mean(-1, true);
  if (dthrough) dx = dx + *dthrough;
  return {dx.contiguous(), narrow_branch ? dx.to(at::kBFloat16).contiguous() : at::empty({0}, x.options().dtype(at::kBFloat16)), dscale,
          dbias};
}

NormalizeResult normalize_cuda(const Tensor& given, const MaybeTensor& branch, const MaybeTensor& scale, const MaybeTensor& bias,
                               double eps, bool centered, bool bf16, bool with_z) {
  check_normalize(given, branch, scale, bias, bf16);
  const c10::cuda::CUDAGuard guard(given.device());
  if (given.size(-1) > kWidestRow) return wide_rows(given, branch, scale, bias, {eps, centered, bf16, with_z});
  const auto dense = [](const MaybeTensor& t) { return t ? t->contiguous() : Tensor(); };
  const Tensor x = given.contiguous(), m = dense(branch), s = dense(scale), b = dense(bias);
  const auto options = x.options().dtype(bf16 ? at::kBFloat16 : x.scalar_type());
  const auto made = [&](bool want) { return want ? at::empty(x.sizes(), options) : at::empty({0}, options); };
  const Tensor z = made(with_z), scaled = made(scale.has_value()), sum = branch ? at::empty_like(x) : at::empty({0}, x.options());
  const auto pointer = [](const Tensor& t) { return t.defined() ? t.const_data_ptr() : nullptr; };
  const auto target = [](bool wanted, const Tensor& t) { return wanted ? t.mutable_data_ptr() : nullptr; };
  const int64_t n = x.size(-1);
  check(normalize({x.const_data_ptr(), pointer(m), pointer(s), pointer(b), target(with_z, z), target(scale.has_value(), scaled),
                   target(branch.has_value(), sum), x.numel() / n, n, eps, centered, c10::cuda::getCurrentCUDAStream()},
                  x.scalar_type() == at::kDouble, bf16));
  return {z, scaled, sum};
}

NormalizeGrads normalize_backward_cuda(const MaybeTensor& dz, const MaybeTensor& dscaled, const MaybeTensor& dthrough, const Tensor& given,
                                       const MaybeTensor& scale, bool with_bias, double eps, bool centered, bool narrow_branch) {
  TORCH_CHECK(!narrow_branch || given.scalar_type() == at::kFloat, "[normalize] a bfloat16 branch joins a float32 state, not ",
              given.scalar_type());
  const c10::cuda::CUDAGuard guard(given.device());
  if (given.size(-1) > kWidestRow) return wide_rows_backward(dz, dscaled, dthrough, given, scale, with_bias, eps, centered, narrow_branch);
  const Tensor x = given.contiguous();
  const int64_t n = x.size(-1), rows = x.numel() / n;
  const bool bf16 = (dz && dz->scalar_type() == at::kBFloat16) || (dscaled && dscaled->scalar_type() == at::kBFloat16);
  const auto ready = [&](const MaybeTensor& t, at::ScalarType dtype) { return t ? t->to(dtype).contiguous() : Tensor(); };
  const auto narrow = bf16 ? at::kBFloat16 : x.scalar_type();
  const Tensor g = ready(dz, narrow), h = ready(dscaled, narrow), t = ready(dthrough, x.scalar_type()), s = ready(scale, x.scalar_type());
  const auto half = x.options().dtype(at::kBFloat16);
  const Tensor dx = at::empty_like(x), none = at::empty({0}, x.options()),
               dbranch = narrow_branch ? at::empty(x.sizes(), half) : at::empty({0}, half);
  const Tensor sums = h.defined() ? at::empty({2, n}, x.options()) : at::zeros({2, scale ? n : 0}, x.options());
  const Tensor partial = h.defined() ? at::empty({normalize_blocks(rows, n), 2 * n}, x.options()) : Tensor();
  const auto pointer = [](const Tensor& tensor) { return tensor.defined() ? tensor.const_data_ptr() : nullptr; };
  const auto target = [](bool wanted, const Tensor& tensor) { return wanted ? tensor.mutable_data_ptr() : nullptr; };
  check(normalize_backward(
      {pointer(g), pointer(h), pointer(t), x.const_data_ptr(), pointer(s), dx.mutable_data_ptr(), target(narrow_branch, dbranch),
       target(h.defined(), sums), target(h.defined(), partial), with_bias, rows, n, eps, centered, c10::cuda::getCurrentCUDAStream()},
      x.scalar_type() == at::kDouble, bf16));
  // An op's results share no memory: with one of them a part will do.
  return {dx, dbranch, scale ? (with_bias ? sums.select(0, 0).clone() : sums.select(0, 0)) : none,
          with_bias ? sums.select(0, 1).clone() : none};
}

}  // namespace

TORCH_LIBRARY_IMPL(assay, CUDA, m) {
  m.impl("normalize", normalize_cuda);
  m.impl("normalize_backward", normalize_backward_cuda);
}

}  // namespace assay::ops
