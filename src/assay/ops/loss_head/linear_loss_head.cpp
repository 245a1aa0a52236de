#include "assay/ops/loss_head/linear_loss_head.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <torch/csrc/autograd/custom_function.h>

#include "assay/ops/loss_head/loss_head_op.h"

namespace assay::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kAligned = 64;  // elements

bool narrow(const Tensor& z, tensor::Precision p) { return p == tensor::Precision::bf16 && z.is_cuda() && z.scalar_type() != at::kDouble; }

// z [N, C] times w^T -> [N, V].
Tensor logits_of(const Tensor& z, const Tensor& w, tensor::Precision p) {
  if (!narrow(z, p)) return tensor::raw_product(z, w.t(), p);
  const int64_t V = w.size(0), width = (V + kAligned - 1) / kAligned * kAligned;
  Tensor logits = at::empty({z.size(0), width}, z.options().dtype(at::kBFloat16)).narrow(1, 0, V);
  return at::mm_out(logits, z.to(at::kBFloat16), w.to(at::kBFloat16).t());
}

struct LinearLossHead : torch::autograd::Function<LinearLossHead> {
  static Tensor forward(AutogradContext* ctx, const Tensor& z, const Tensor& w, const Tensor& targets, const LossHead& h,
                        tensor::Precision p, bool with_gradient) {
    static const auto op = c10::Dispatcher::singleton().findSchemaOrThrow("assay::loss_head", "").typed<LossHeadForward>();
    const at::AutoDispatchBelowADInplaceOrView below;
    const Tensor rows = z.reshape({-1, z.size(-1)});
    Tensor logits = logits_of(rows, w, p);
    logits = logits.as_strided({z.size(0), z.size(1), w.size(0)}, {z.size(1) * logits.stride(0), logits.stride(0), 1});
    auto [loss, dlogits, dgain] = op.call(logits, std::nullopt, targets, h.first, h.last, h.norm_eps, h.softcap, h.z_loss, h.smoothing,
                                          with_gradient ? kOverwrite : kNoGradient);
    if (with_gradient) ctx->save_for_backward({rows, w, dlogits.as_strided({rows.size(0), w.size(0)}, {dlogits.stride(1), 1})});
    ctx->saved_data["precision"] = static_cast<int64_t>(p);
    ctx->saved_data["shape"] = z.sizes();
    return loss;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& g) {
    const variable_list s = ctx->get_saved_variables();
    const at::NoGradGuard once;
    const auto p = static_cast<tensor::Precision>(ctx->saved_data["precision"].toInt());
    const Tensor &rows = s[0], &w = s[1], &dlogits = s[2], &up = g[0];
    Tensor dz, dw;
    if (narrow(rows, p)) {
      dz = at::mm(dlogits, w.to(at::kBFloat16)).mul_(up).to(rows.scalar_type());
      dw = at::mm(dlogits.t(), rows.to(at::kBFloat16), at::kFloat).mul_(up);
    } else {
      dz = tensor::raw_product(dlogits, w, p).mul_(up);
      dw = tensor::raw_product(dlogits.t(), rows, p).mul_(up);
    }
    return {dz.view(ctx->saved_data["shape"].toIntVector()), dw, Tensor(), Tensor(), Tensor(), Tensor()};
  }
};

}  // namespace

Tensor linear_loss_head(const Tensor& z, const Tensor& w, const Tensor& targets, const LossHead& head, tensor::Precision precision) {
  TORCH_CHECK(z.dim() == 3 && w.dim() == 2 && z.size(2) == w.size(1), "[linear_loss_head] z must be [B, T, C] and w [V, C], got ",
              z.sizes(), " and ", w.sizes());
  const bool wanted = at::GradMode::is_enabled() && (z.requires_grad() || w.requires_grad());
  return LinearLossHead::apply(z, w, targets, head, precision, wanted);
}

}  // namespace assay::ops
