#include "assay/ops/loss_head/linear_loss_head.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <torch/csrc/autograd/custom_function.h>

#include "assay/ops/loss_head/loss_head_op.h"
#include "assay/tensor/first_order.h"

namespace assay::ops {
namespace {

using tensor::Precision;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kAligned = 64;  // elements

// bfloat16 logits: where the device multiplies what it then keeps. A CPU's loss reads float32 logits instead, of which it has few.
bool narrow(const Tensor& z, Precision p) { return p == Precision::bf16 && z.is_cuda() && z.scalar_type() != at::kDouble; }

// w [V, C] in bfloat16, zero rows below up to a multiple of 64: an odd V sends all three products to kernels several times slower.
Tensor padded_rows(const Tensor& w) {
  const int64_t V = w.size(0), rows = (V + kAligned - 1) / kAligned * kAligned;
  if (rows == V) return w.to(at::kBFloat16);
  const Tensor padded = at::empty({rows, w.size(1)}, w.options().dtype(at::kBFloat16));
  padded.narrow(0, 0, V).copy_(w);
  padded.narrow(0, V, rows - V).zero_();
  return padded;
}

// Of `sequences` sequences of `bytes` bytes of logits each, how many have their logits at the same time where `most` bytes are allowed (one in any case):
// a divisor, so that the mean over all is the mean of the parts' means.
int64_t together(int64_t sequences, int64_t bytes, int64_t most) {
  int64_t parts = 1;
  while (parts < sequences && (sequences % parts != 0 || sequences / parts * bytes > most)) ++parts;
  return sequences / parts;
}

// A sum over parts as their mean.
Tensor of_mean(const Tensor& sum, int64_t parts) { return parts == 1 ? sum : sum / static_cast<double>(parts); }

struct Wanted {
  bool z, w;
  bool any() const { return z || w; }
};

// Loss and gradients of the logits z w^T.
class Head {
 public:
  Head(const Tensor& w, const LossHead& h, Precision p, bool in_bf16)
      : h_(h), p_(p), vocab_(w.size(0)), in_bf16_(in_bf16), matrix_(in_bf16 ? padded_rows(w) : w) {}

  // Adds a part's loss and gradients: rows [B, T, C], targets [B, T].
  void add(const Tensor& z_BTC, const Tensor& targets_BT, Wanted wanted) {
    static const auto plain = c10::Dispatcher::singleton().findSchemaOrThrow("assay::loss_head", "").typed<LossHeadForward>();
    static const auto in_place = c10::Dispatcher::singleton().findSchemaOrThrow("assay::loss_head_", "").typed<LossHeadInPlace>();
    Tensor rows = z_BTC.reshape({-1, z_BTC.size(-1)});
    if (in_bf16_) rows = rows.to(at::kBFloat16);
    else if (rows.scalar_type() == at::kBFloat16) rows = rows.to(at::kFloat);
    // [N, V] and, where rows were added to the matrix, columns that are zero and stay so.
    const Tensor wide = in_bf16_ ? at::mm(rows, matrix_.t()) : tensor::raw_product(rows, matrix_.t(), p_);
    const Tensor logits = wide.view({z_BTC.size(0), z_BTC.size(1), wide.size(1)}).narrow(2, 0, vocab_);
    if (!wanted.any()) {
      collect(std::get<0>(
          plain.call(logits, std::nullopt, targets_BT, h_.first, h_.last, h_.norm_eps, h_.softcap, h_.z_loss, h_.smoothing, false)));
      return;
    }
    // The gradient of the logits takes their place.
    collect(
        std::get<0>(in_place.call(logits, std::nullopt, targets_BT, h_.first, h_.last, h_.norm_eps, h_.softcap, h_.z_loss, h_.smoothing)));
    if (wanted.z) {
      const Tensor dz = in_bf16_ ? at::mm(wide, matrix_) : tensor::raw_product(wide, matrix_, p_);
      dz_.push_back(dz.view(z_BTC.sizes()));
    }
    if (!wanted.w) return;
    if (!dw_.defined()) dw_ = in_bf16_ ? at::mm(wide.t(), rows, at::kFloat) : tensor::raw_product(wide.t(), rows, p_);
    else if (in_bf16_) at::addmm_out(dw_, dw_, wide.t(), rows, at::kFloat);
    else dw_.add_(tensor::raw_product(wide.t(), rows, p_));
  }

  int64_t parts() const { return parts_; }
  Tensor loss() const { return of_mean(loss_, parts_); }
  // Sums over the parts, in the products' type; undefined where not wanted.
  Tensor dz() const { return dz_.empty() ? Tensor() : dz_.size() == 1 ? dz_[0] : at::cat(dz_, 0); }
  Tensor dw() const { return dw_.defined() ? dw_.narrow(0, 0, vocab_) : Tensor(); }

 private:
  void collect(const Tensor& loss) {
    loss_ = parts_ == 0 ? loss : loss_ + loss;
    ++parts_;
  }

  LossHead h_;
  Precision p_;
  int64_t vocab_, parts_ = 0;
  bool in_bf16_;
  Tensor matrix_, loss_, dw_;
  std::vector<Tensor> dz_;
};

// Everything is computed in the forward pass: the logits are gone behind it, and the backward pass has a factor to multiply by.
struct LinearLossHead : torch::autograd::Function<LinearLossHead> {
  static Tensor forward(AutogradContext* ctx, const Tensor& z, const Tensor& w, const Tensor& targets, const LossHead& h, Precision p,
                        const Wanted& wanted, int64_t logits_bytes) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const bool in_bf16 = narrow(z, p);
    Head head(w, h, p, in_bf16);
    const int64_t sequences = z.size(0),
                  bytes = z.size(1) * w.size(0) *
                          (in_bf16                          ? 2
                           : z.scalar_type() == at::kDouble ? 8
                                                            : 4),
                  step = together(sequences, bytes, logits_bytes);
    for (int64_t first = 0; first < sequences; first += step) head.add(z.narrow(0, first, step), targets.narrow(0, first, step), wanted);
    ctx->save_for_backward({head.dz(), head.dw()});
    ctx->saved_data["parts"] = head.parts();
    ctx->saved_data["dtype"] = static_cast<int64_t>(z.scalar_type());
    return head.loss();
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& g) {
    const variable_list s = ctx->get_saved_variables();
    const tensor::FirstOrderOnly once("linear_loss_head", g, s);
    const Tensor factor = of_mean(g[0], ctx->saved_data["parts"].toInt());  // has no dimension: a product keeps the other's type
    const auto dtype = static_cast<at::ScalarType>(ctx->saved_data["dtype"].toInt());
    return {s[0].defined() ? (s[0] * factor).to(dtype) : Tensor(),
            s[1].defined() ? s[1] * factor : Tensor(),
            Tensor(),
            Tensor(),
            Tensor(),
            Tensor(),
            Tensor()};
  }
};

}  // namespace

Tensor linear_loss_head(const Tensor& z, const Tensor& w, const Tensor& targets, const LossHead& head, Precision precision,
                        int64_t logits_bytes) {
  TORCH_CHECK(z.dim() == 3 && w.dim() == 2 && z.size(2) == w.size(1), "[linear_loss_head] z must be [B, T, C] and w [V, C], got ",
              z.sizes(), " and ", w.sizes());
  const bool recording = at::GradMode::is_enabled();
  const Wanted wanted{recording && z.requires_grad(), recording && w.requires_grad()};
  return LinearLossHead::apply(z, w, targets, head, precision, wanted, logits_bytes);
}

}  // namespace assay::ops
