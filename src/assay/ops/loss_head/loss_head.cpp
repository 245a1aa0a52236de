#include "assay/ops/loss_head/loss_head.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/tanh.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/library.h>

#include "assay/ops/loss_head/loss_head_op.h"

namespace assay::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

const auto& forward_op() {
  static const auto op = c10::Dispatcher::singleton().findSchemaOrThrow("assay::loss_head", "").typed<LossHeadForward>();
  return op;
}
const auto& in_place_op() {
  static const auto op = c10::Dispatcher::singleton().findSchemaOrThrow("assay::loss_head_", "").typed<LossHeadInPlace>();
  return op;
}

// Scales the kept gradients by the upstream one.
struct LossHeadFunction : torch::autograd::Function<LossHeadFunction> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const std::optional<Tensor>& gain, const Tensor& targets,
                        const LossHeadNumbers& n, bool with_gradient, bool overwrite) {
    const at::AutoDispatchBelowADInplaceOrView below;
    if (with_gradient && overwrite) {
      // x changes below autograd: whoever kept it for its own derivative is told, as after any operation in place.
      torch::autograd::impl::bump_version(x);
      const Tensor place = x.detach();
      auto [loss, dgain] = in_place_op().call(place, gain ? std::optional(gain->detach()) : gain, targets, n.first, n.last, n.norm_eps,
                                              n.softcap, n.z_loss, n.smoothing);
      ctx->save_for_backward({place, dgain});
      return loss;
    }
    auto [loss, dx, dgain] =
        forward_op().call(x, gain, targets, n.first, n.last, n.norm_eps, n.softcap, n.z_loss, n.smoothing, with_gradient);
    ctx->save_for_backward({dx, dgain});
    return loss;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& g) {
    const variable_list kept = ctx->get_saved_variables();
    TORCH_CHECK(kept[0].numel() > 0, "[loss_head] the gradient was not computed in the forward pass");
    // Autograd passes a float32 upstream gradient; kept[0] may be bfloat16.
    return {kept[0] * g[0].to(kept[0].scalar_type()),
            kept[1].defined() && kept[1].numel() > 0 ? kept[1] * g[0] : Tensor(),
            Tensor(),
            Tensor(),
            Tensor(),
            Tensor()};
  }
};

LossHeadResult differentiable(const Tensor& x, const std::optional<Tensor>& gain, const Tensor& targets, int64_t first, int64_t last,
                              double norm_eps, double softcap, double z_loss, double smoothing, bool with_gradient) {
  check_loss_head(x, gain, targets);
  const LossHeadNumbers numbers{first, last, norm_eps, softcap, z_loss, smoothing};
  const Tensor loss = LossHeadFunction::apply(x, gain, targets, numbers, with_gradient, false);
  return {loss, Tensor(), Tensor()};
}

LossHeadInPlaceResult in_place_without_graph(const Tensor& x, const std::optional<Tensor>& gain, const Tensor& targets, int64_t first,
                                             int64_t last, double norm_eps, double softcap, double z_loss, double smoothing) {
  TORCH_CHECK(
      !at::GradMode::is_enabled() || !(x.requires_grad() || (gain && gain->requires_grad())),
      "[loss_head_] has no derivative of its own: it leaves x's gradient in x's place (ops::loss_head with overwrite joins it to a graph)");
  torch::autograd::impl::bump_version(x);
  const at::AutoDispatchBelowADInplaceOrView below;
  return in_place_op().call(x, gain, targets, first, last, norm_eps, softcap, z_loss, smoothing);
}

LossHeadResult shapes(const Tensor& x, const std::optional<Tensor>& gain, const Tensor& targets, int64_t, int64_t, double, double, double,
                      double, bool with_gradient) {
  check_loss_head(x, gain, targets);
  const auto wide = x.options().dtype(x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
  return {at::empty({}, wide), with_gradient ? at::empty_like(x, x.options(), at::MemoryFormat::Contiguous) : at::empty({0}, x.options()),
          gain ? at::empty_like(*gain) : at::empty({0}, wide)};
}
LossHeadInPlaceResult in_place_shapes(const Tensor& x, const std::optional<Tensor>& gain, const Tensor& targets, int64_t first,
                                      int64_t last, double norm_eps, double softcap, double z_loss, double smoothing) {
  auto [loss, dx, dgain] = shapes(x, gain, targets, first, last, norm_eps, softcap, z_loss, smoothing, false);
  return {loss, dgain};
}

}  // namespace

Tensor loss_head(const Tensor& x, const Tensor& gain, const Tensor& targets, const LossHead& h) {
  const bool wanted = at::GradMode::is_enabled() && (x.requires_grad() || (gain.defined() && gain.requires_grad()));
  const auto scale = gain.defined() ? std::optional(gain) : std::nullopt;
  if (wanted && h.overwrite) {
    check_loss_head(x, scale, targets);
    const LossHeadNumbers numbers{h.first, h.last, h.norm_eps, h.softcap, h.z_loss, h.smoothing};
    return LossHeadFunction::apply(x, scale, targets, numbers, true, true);
  }
  return std::get<0>(forward_op().call(x, scale, targets, h.first, h.last, h.norm_eps, h.softcap, h.z_loss, h.smoothing, wanted));
}

Tensor loss_head_reference(const Tensor& x, const Tensor& gain, const Tensor& targets, const LossHead& h) {
  const int64_t T = x.size(1), last = h.last < 0 ? T : h.last;
  Tensor a = x.narrow(1, h.first, last - h.first);
  if (h.norm_eps >= 0) a = a * at::rsqrt(a.square().mean(-1, true) + h.norm_eps);
  if (gain.defined()) a = a * gain;
  if (h.softcap > 0) a = at::tanh(a / h.softcap) * h.softcap;
  const Tensor lse = at::logsumexp(a, {-1}), hit = a.gather(-1, targets.narrow(1, h.first, last - h.first).unsqueeze(-1)).squeeze(-1);
  return ((lse - hit) * (1 - h.smoothing) + (lse - a.mean(-1)) * h.smoothing + lse.square() * h.z_loss).mean();
}

void check_loss_head(const Tensor& x, const std::optional<Tensor>& gain, const Tensor& targets) {
  TORCH_CHECK(x.dim() == 3 && x.size(2) > 0, "[loss_head] x must be [B, T, V], got ", x.sizes());
  const bool bf16 = x.scalar_type() == at::kBFloat16;
  TORCH_CHECK(x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble || bf16,
              "[loss_head] wants float32, float64 or bfloat16, got ", x.scalar_type(), " on ", x.device());
  TORCH_CHECK(targets.dim() == 2 && targets.size(0) == x.size(0) && targets.size(1) == x.size(1) && targets.scalar_type() == at::kLong &&
                  targets.device() == x.device(),
              "[loss_head] targets must be int64 [", x.size(0), ", ", x.size(1), "] on ", x.device(), ", got ", targets.scalar_type(), " ",
              targets.sizes(), " on ", targets.device());
  if (!gain) return;
  const auto wide = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  TORCH_CHECK(gain->numel() == 1 && gain->scalar_type() == wide && gain->device() == x.device(), "[loss_head] gain must be one ", wide,
              " on ", x.device());
}

TORCH_LIBRARY_FRAGMENT(assay, m) {
  m.def("loss_head(Tensor x, Tensor? gain, Tensor targets, int first, int last, float norm_eps, float softcap, float z_loss, "
        "float smoothing, bool with_gradient) -> (Tensor, Tensor, Tensor)");
  m.def("loss_head_(Tensor(a!) x, Tensor? gain, Tensor targets, int first, int last, float norm_eps, float softcap, float z_loss, "
        "float smoothing) -> (Tensor, Tensor)");
}
TORCH_LIBRARY_IMPL(assay, Autograd, m) {
  m.impl("loss_head", differentiable);
  m.impl("loss_head_", in_place_without_graph);
}
TORCH_LIBRARY_IMPL(assay, Meta, m) {
  m.impl("loss_head", shapes);
  m.impl("loss_head_", in_place_shapes);
}

}  // namespace assay::ops
