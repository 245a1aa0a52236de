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

namespace assay::ops {
namespace {

constexpr int64_t kWidest = 2048;

void check(cudaError_t error) { TORCH_CHECK(error == cudaSuccess, "[normalize] CUDA launch failed: ", cudaGetErrorString(error)); }

Two wide_rows(const Tensor& x, const MaybeTensor& scale, double eps, bool bf16) {
  const auto dtype = bf16 ? at::kBFloat16 : x.scalar_type();
  const Tensor z = x * at::rsqrt(x.square().mean(-1, true) + eps);
  return {z.to(dtype), scale ? (z * *scale).to(dtype) : at::empty({0}, x.options().dtype(dtype))};
}

Two wide_rows_backward(const MaybeTensor& dz, const MaybeTensor& dscaled, const MaybeTensor& dthrough, const Tensor& x,
                       const MaybeTensor& scale, double eps) {
  const int64_t n = x.size(-1);
  const Tensor r = at::rsqrt(x.square().mean(-1, true) + eps);
  Tensor u = dz ? dz->to(x.scalar_type()) : at::zeros_like(x), dscale = scale ? at::zeros_like(*scale) : at::empty({0}, x.options());
  if (dscaled) {
    u = u + *dscaled * *scale;
    dscale = (*dscaled * (x * r)).reshape({-1, n}).sum(0).to(x.scalar_type());
  }
  Tensor dx = r * u - x * (r.pow(3) / static_cast<double>(n) * (u * x).sum(-1, true));
  if (dthrough) dx = dx + *dthrough;
  return {dx, dscale};
}

Two normalize_cuda(const Tensor& given, const MaybeTensor& scale, double eps, bool bf16) {
  check_normalize(given, scale, bf16);
  const c10::cuda::CUDAGuard guard(given.device());
  if (given.size(-1) > kWidest) return wide_rows(given, scale, eps, bf16);
  const Tensor x = given.contiguous(), s = scale ? scale->contiguous() : Tensor();
  const auto options = x.options().dtype(bf16 ? at::kBFloat16 : x.scalar_type());
  const Tensor z = at::empty(x.sizes(), options), scaled = scale ? at::empty(x.sizes(), options) : at::empty({0}, options);
  const int64_t n = x.size(-1);
  check(normalize({x.const_data_ptr(), scale ? s.const_data_ptr() : nullptr, z.mutable_data_ptr(),
                   scale ? scaled.mutable_data_ptr() : nullptr, x.numel() / n, n, eps, c10::cuda::getCurrentCUDAStream()},
                  x.scalar_type() == at::kDouble, bf16));
  return {z, scaled};
}

Two normalize_backward_cuda(const MaybeTensor& dz, const MaybeTensor& dscaled, const MaybeTensor& dthrough, const Tensor& given,
                            const MaybeTensor& scale, double eps) {
  const c10::cuda::CUDAGuard guard(given.device());
  if (given.size(-1) > kWidest) return wide_rows_backward(dz, dscaled, dthrough, given, scale, eps);
  const Tensor x = given.contiguous();
  const int64_t n = x.size(-1), rows = x.numel() / n;
  const bool bf16 = (dz && dz->scalar_type() == at::kBFloat16) || (dscaled && dscaled->scalar_type() == at::kBFloat16);
  const auto ready = [&](const MaybeTensor& t, at::ScalarType dtype) { return t ? t->to(dtype).contiguous() : Tensor(); };
  const auto narrow = bf16 ? at::kBFloat16 : x.scalar_type();
  const Tensor g = ready(dz, narrow), h = ready(dscaled, narrow), t = ready(dthrough, x.scalar_type()), s = ready(scale, x.scalar_type());
  const Tensor dx = at::empty_like(x), dscale = !scale        ? at::empty({0}, x.options())
                                                : h.defined() ? at::empty({n}, x.options())
                                                              : at::zeros({n}, x.options());
  const Tensor partial = h.defined() ? at::empty({normalize_blocks(rows), n}, x.options()) : Tensor();
  const auto pointer = [](const Tensor& tensor) { return tensor.defined() ? tensor.const_data_ptr() : nullptr; };
  check(normalize_backward({pointer(g), pointer(h), pointer(t), x.const_data_ptr(), pointer(s), dx.mutable_data_ptr(),
                            h.defined() ? dscale.mutable_data_ptr() : nullptr, h.defined() ? partial.mutable_data_ptr() : nullptr, rows, n,
                            eps, c10::cuda::getCurrentCUDAStream()},
                           x.scalar_type() == at::kDouble, bf16));
  return {dx, dscale};
}

}  // namespace

TORCH_LIBRARY_IMPL(assay, CUDA, m) {
  m.impl("normalize", normalize_cuda);
  m.impl("normalize_backward", normalize_backward_cuda);
}

}  // namespace assay::ops
