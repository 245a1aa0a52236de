#include "assay/ops/loss_head/loss_head_cuda.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
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

// x as the kernels take it: rows dense or, where they may, evenly apart, the first on 16 bytes. x's own memory where it is so.
Tensor kernel_rows(const Tensor& x, bool may_be_apart) {
  const bool apart = may_be_apart && x.stride(2) == 1 && x.stride(1) >= x.size(2) && x.stride(0) == x.size(1) * x.stride(1);
  Tensor rows = apart ? x : x.contiguous();
  // A dense tensor may have any stride where it has one position; the kernels step by it from row to row.
  if (!apart) rows = rows.as_strided(rows.sizes(), {rows.size(1) * rows.size(2), rows.size(2), 1});
  return reinterpret_cast<uintptr_t>(rows.const_data_ptr()) % 16 == 0 ? rows : rows.clone();
}

// `dx`: x itself, dense as x, or undefined where no gradient is wanted. Positions that do not count get 0.
LossHeadInPlaceResult run(const Tensor& x, const std::optional<Tensor>& gain, const Tensor& targets, const LossHeadNumbers& n,
                          const Tensor& dx) {
  const Tensor ids = targets.contiguous();
  const int64_t B = x.size(0), L = x.size(1), first = n.first, end = n.last < 0 ? L : n.last;
  TORCH_CHECK(first >= 0 && first < end && end <= L && B > 0, "[loss_head] positions [", first, ", ", end, ") of ", L);
  const auto wide = x.options().dtype(x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
  const Tensor row_sums = at::empty({2, B * (end - first)}, x.options().dtype(at::kDouble)), loss = at::empty({}, wide);
  const Tensor dgain = gain ? at::empty(gain->sizes(), wide) : at::empty({0}, wide);
  LossHeadArguments a{x.const_data_ptr(),
                      gain ? gain->const_data_ptr() : nullptr,
                      ids.const_data_ptr<int64_t>(),
                      dx.defined() ? dx.mutable_data_ptr() : nullptr,
                      row_sums.mutable_data_ptr<double>(),
                      row_sums.mutable_data_ptr<double>() + row_sums.size(1),
                      loss.mutable_data_ptr(),
                      gain && dx.defined() ? dgain.mutable_data_ptr() : nullptr,
                      B,
                      L,
                      x.size(2),
                      x.stride(1),
                      first,
                      end,
                      n.norm_eps,
                      n.softcap,
                      n.z_loss,
                      n.smoothing,
                      c10::cuda::getCurrentCUDAStream()};
  if (dx.defined() && end - first != L) {
    dx.narrow(1, 0, first).zero_();
    dx.narrow(1, end, L - end).zero_();
  }
  const cudaError_t error = loss_head(a, type_of(x));
  TORCH_CHECK(error == cudaSuccess, "[loss_head] CUDA launch failed: ", cudaGetErrorString(error));
  return {loss, dgain};
}

LossHeadResult loss_head_cuda(const Tensor& x, const std::optional<Tensor>& gain, const Tensor& targets, int64_t first, int64_t last,
                              double norm_eps, double softcap, double z_loss, double smoothing, bool with_gradient) {
  check_loss_head(x, gain, targets);
  const c10::cuda::CUDAGuard guard(x.device());
  const Tensor rows = kernel_rows(x, !with_gradient), dx = with_gradient ? at::empty_like(rows) : Tensor();
  auto [loss, dgain] = run(rows, gain, targets, {first, last, norm_eps, softcap, z_loss, smoothing}, dx);
  return {loss, with_gradient ? dx : at::empty({0}, x.options()), dgain};
}

LossHeadInPlaceResult loss_head_in_place_cuda(const Tensor& x, const std::optional<Tensor>& gain, const Tensor& targets, int64_t first,
                                              int64_t last, double norm_eps, double softcap, double z_loss, double smoothing) {
  check_loss_head(x, gain, targets);
  const c10::cuda::CUDAGuard guard(x.device());
  const Tensor rows = kernel_rows(x, true);
  LossHeadInPlaceResult result = run(rows, gain, targets, {first, last, norm_eps, softcap, z_loss, smoothing}, rows);
  if (rows.const_data_ptr() != x.const_data_ptr()) x.copy_(rows);
  return result;
}

}  // namespace

TORCH_LIBRARY_IMPL(assay, CUDA, m) {
  m.impl("loss_head", loss_head_cuda);
  m.impl("loss_head_", loss_head_in_place_cuda);
}

}  // namespace assay::ops
