#include "assay/ops/loss_head/loss_head_cuda.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include "assay/ops/loss_head/loss_head.h"
#include "assay/ops/loss_head/loss_head_op.h"

namespace assay::ops {
namespace {

LossType type_of(const Tensor& x) {
  return x.scalar_type() == at::kDouble ? LossType::f64 : x.scalar_type() == at::kBFloat16 ? LossType::bf16 : LossType::f32;
}

LossHeadResult loss_head_cuda(const Tensor& given, const std::optional<Tensor>& gain, const Tensor& targets, int64_t first, int64_t last,
                              double norm_eps, double softcap, double z_loss, double smoothing, int64_t mode) {
  check_loss_head(given, gain, targets);
  const c10::cuda::CUDAGuard guard(given.device());
  // Rows may lie apart where the gradient takes their place; a gradient of its own is dense, and so is x then.
  const bool apart =
      mode != kGradient && given.stride(2) == 1 && given.stride(1) >= given.size(2) && given.stride(0) == given.size(1) * given.stride(1);
  Tensor x = apart ? given : given.contiguous();
  // A dense tensor may have any stride where it has one position; the kernels step by it from row to row.
  if (!apart) x = x.as_strided(x.sizes(), {x.size(1) * x.size(2), x.size(2), 1});
  if (reinterpret_cast<uintptr_t>(x.const_data_ptr()) % 16 != 0) x = x.clone();  // the kernels' packs begin on 16 bytes in x and dx alike
  const Tensor ids = targets.contiguous();
  const int64_t B = x.size(0), L = x.size(1), end = last < 0 ? L : last;
  TORCH_CHECK(first >= 0 && first < end && end <= L && B > 0, "[loss_head] positions [", first, ", ", end, ") of ", L);
  const bool partial = end - first != L;
  const Tensor dx = mode == kNoGradient  ? at::empty({0}, x.options())
                    : mode == kOverwrite ? x
                    : partial            ? at::zeros_like(x)
                                         : at::empty_like(x);
  const auto wide = x.options().dtype(x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
  const Tensor row_sums = at::empty({2, B * (end - first)}, x.options().dtype(at::kDouble)), loss = at::empty({}, wide);
  const Tensor dgain = gain ? at::empty(gain->sizes(), wide) : at::empty({0}, wide);
  const bool with_gradient = mode != kNoGradient;
  LossHeadArguments a{x.const_data_ptr(),
                      gain ? gain->const_data_ptr() : nullptr,
                      ids.const_data_ptr<int64_t>(),
                      with_gradient ? dx.mutable_data_ptr() : nullptr,
                      row_sums.mutable_data_ptr<double>(),
                      row_sums.mutable_data_ptr<double>() + row_sums.size(1),
                      loss.mutable_data_ptr(),
                      gain && with_gradient ? dgain.mutable_data_ptr() : nullptr,
                      B,
                      L,
                      x.size(2),
                      x.stride(1),
                      first,
                      end,
                      norm_eps,
                      softcap,
                      z_loss,
                      smoothing,
                      c10::cuda::getCurrentCUDAStream()};
  if (mode == kOverwrite && partial) {
    dx.narrow(1, 0, first).zero_();
    dx.narrow(1, end, L - end).zero_();
  }
  const cudaError_t error = loss_head(a, type_of(x));
  TORCH_CHECK(error == cudaSuccess, "[loss_head] CUDA launch failed: ", cudaGetErrorString(error));
  return {loss, dx, dgain};
}

}  // namespace

TORCH_LIBRARY_IMPL(assay, CUDA, m) { m.impl("loss_head", loss_head_cuda); }

}  // namespace assay::ops
