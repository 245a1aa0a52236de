#include "assay/ops/loss_head/linear_loss_head.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <torch/csrc/autograd/custom_function.h>

#include "assay/ops/loss_head/loss_head_op.h"
#include "assay/tensor/first_order.h"

namespace assay::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kAligned = 64;  // elements

bool narrow(const Tensor& z, tensor::Precision p) { return p == tensor::Precision::bf16 && z.is_cuda() && z.scalar_type() != at::kDouble; }

// w [V, C] in bfloat16, zero rows below up to a multiple of 64: an odd V sends all three products to kernels several times slower.
Tensor padded_rows(const Tensor& w) {
  const int64_t V = w.size(0), rows = (V + kAligned - 1) / kAligned * kAligned;
  if (rows == V) return w.to(at::kBFloat16);
  const Tensor padded = at::empty({rows, w.size(1)}, w.options().dtype(at::kBFloat16));
  padded.narrow(0, 0, V).copy_(w);
  padded.narrow(0, V, rows - V).zero_();
  return padded;
}

struct LinearLossHead : torch::autograd::Function<LinearLossHead> {
  static Tensor forward(AutogradContext* ctx, const Tensor& z, const Tensor& w, const Tensor& targets, const LossHead& h,
                        tensor::Precision p, bool with_gradient) {
    static const auto plain = c10::Dispatcher::singleton().findSchemaOrThrow("assay::loss_head", "").typed<LossHeadForward>();
    static const auto in_place = c10::Dispatcher::singleton().findSchemaOrThrow("assay::loss_head_", "").typed<LossHeadInPlace>();
    const at::AutoDispatchBelowADInplaceOrView below;
    const bool in_bf16 = narrow(z, p);
    Tensor rows = z.reshape({-1, z.size(-1)});
    if (in_bf16) rows = rows.to(at::kBFloat16);
    const Tensor matrix = in_bf16 ? padded_rows(w) : w;
    // [N, V] and, where rows were added, columns that are zero and stay so.
    const Tensor wide = in_bf16 ? at::mm(rows, matrix.t()) : tensor::raw_product(rows, w.t(), p);
    const Tensor logits = wide.view({z.size(0), z.size(1), wide.size(1)}).narrow(2, 0, w.size(0));
    Tensor loss;
    if (with_gradient) {  // in `wide`, where the logits were
      loss = std::get<0>(in_place.call(logits, std::nullopt, targets, h.first, h.last, h.norm_eps, h.softcap, h.z_loss, h.smoothing));
      ctx->save_for_backward({rows, matrix, wide});
    } else {
      loss = std::get<0>(plain.call(logits, std::nullopt, targets, h.first, h.last, h.norm_eps, h.softcap, h.z_loss, h.smoothing, false));
    }
    ctx->saved_data["precision"] = static_cast<int64_t>(p);
    ctx->saved_data["shape"] = z.sizes();
    ctx->saved_data["dtype"] = static_cast<int64_t>(z.scalar_type());
    ctx->saved_data["vocab"] = w.size(0);
    return loss;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& g) {
    const variable_list s = ctx->get_saved_variables();
    const tensor::FirstOrderOnly once("linear_loss_head", g, s);
    const auto p = static_cast<tensor::Precision>(ctx->saved_data["precision"].toInt());
    const auto dtype = static_cast<at::ScalarType>(ctx->saved_data["dtype"].toInt());
    const Tensor &rows = s[0], &matrix = s[1], &dlogits = s[2], &up = g[0];
    Tensor dz, dw;
    if (rows.scalar_type() == at::kBFloat16) {
      dz = at::mm(dlogits, matrix).mul_(up).to(dtype);
      dw = at::mm(dlogits.t(), rows, at::kFloat).mul_(up).narrow(0, 0, ctx->saved_data["vocab"].toInt());
    } else {
      dz = tensor::raw_product(dlogits, matrix, p).mul_(up);
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
