// Rows of up to 2048 through the kernels; wider ones by ordinary calls.
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include "assay/ops/row_limits.h"
#include "assay/ops/shift_max/shift_max.h"
#include "assay/ops/shift_max/shift_max_cuda.h"
#include "assay/ops/shift_max/shift_max_op.h"

namespace assay::ops {
namespace {

Tensor launched(const Tensor& g, const Tensor& z, int64_t k, double tau) {
  const Tensor out = at::empty_like(z);
  const int64_t n = z.size(-1);
  const cudaError_t error = shift_max({g.defined() ? g.const_data_ptr() : nullptr, z.const_data_ptr(), out.mutable_data_ptr(),
                                       z.numel() / n, n, k, tau, c10::cuda::getCurrentCUDAStream()},
                                      z.scalar_type() == at::kDouble);
  TORCH_CHECK(error == cudaSuccess, "[shift_max] CUDA launch failed: ", cudaGetErrorString(error));
  return out;
}

Tensor shift_max_cuda(const Tensor& z, int64_t k, double tau) {
  check_shift_max(z, k, tau);
  const c10::cuda::CUDAGuard guard(z.device());
  return z.size(-1) > kWidestRow ? shift_max_parts(z, k, tau).p.contiguous() : launched({}, z.contiguous(), k, tau);
}

Tensor shift_max_backward_cuda(const Tensor& g, const Tensor& z, int64_t k, double tau) {
  check_shift_max_gradient(g, z, k, tau);
  const c10::cuda::CUDAGuard guard(z.device());
  if (z.size(-1) <= kWidestRow) return launched(g.contiguous(), z.contiguous(), k, tau);
  const ShiftMaxParts f = shift_max_parts(z, k, tau);
  const Tensor a = f.p * f.h * (g - (f.p * g).sum(-1, true)) / tau;
  return (a - a.mean(-1, true)).contiguous();
}

}  // namespace

TORCH_LIBRARY_IMPL(assay, CUDA, m) {
  m.impl("shift_max", shift_max_cuda);
  m.impl("shift_max_backward", shift_max_backward_cuda);
}

}  // namespace assay::ops
