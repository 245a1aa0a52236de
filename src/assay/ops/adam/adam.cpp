#include "assay/ops/adam/adam.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/sqrt.h>
#include <torch/library.h>

#include <cmath>

namespace assay::ops {
namespace {

using Decide = void(const Tensor&, const Tensor&, Tensor, Tensor, double, double);
using Apply = void(Tensor, const Tensor&, Tensor, Tensor, const std::optional<Tensor>&, const Tensor&, const Tensor&, double, double,
                   double, bool);

void check_flat(const Tensor& t, const Tensor& like, const char* name) {
  TORCH_CHECK(t.dim() == 1 && t.is_contiguous() && t.numel() == like.numel(), "[adam] ", name, " must be a contiguous flat buffer of ",
              like.numel(), " elements, got ", t.sizes());
  TORCH_CHECK(t.device() == like.device(), "[adam] ", name, " is on ", t.device(), ", the parameters on ", like.device());
}

void check_control(const Tensor& control, const at::Device& device) {
  TORCH_CHECK(control.scalar_type() == at::kDouble && control.numel() == Control::count && control.device() == device,
              "[adam] control must be float64 [", int64_t{Control::count}, "] on ", device);
}

void check_decide(const Tensor& grads, const Tensor& loss, const Tensor& control, const Tensor& log) {
  TORCH_CHECK(grads.scalar_type() == at::kFloat || grads.scalar_type() == at::kDouble, "[adam] wants float32 or float64 gradients, got ",
              grads.scalar_type());
  check_flat(grads, grads, "grads");
  TORCH_CHECK(loss.numel() == 1 && loss.device() == grads.device() && loss.scalar_type() == grads.scalar_type(),
              "[adam] loss must be one number of the gradients' dtype and device");
  check_control(control, grads.device());
  TORCH_CHECK(log.scalar_type() == at::kDouble && log.dim() == 2 && log.size(1) == 4 && log.size(0) > 0 && log.is_contiguous() &&
                  log.device() == grads.device(),
              "[adam] log must be float64 [rows, 4] beside the gradients, got ", log.sizes());
}

void check_apply(const Tensor& values, const Tensor& grads, const Tensor& first, const Tensor& second, const std::optional<Tensor>& shadow,
                 const Tensor& control, const Tensor& chunks) {
  TORCH_CHECK(values.scalar_type() == at::kFloat || values.scalar_type() == at::kDouble, "[adam] wants float32 or float64, got ",
              values.scalar_type());
  for (const auto& [t, name] : {std::pair{values, "values"}, std::pair{grads, "grads"}, std::pair{first, "the first moment"},
                                std::pair{second, "the second moment"}}) {
    check_flat(t, values, name);
    TORCH_CHECK(t.scalar_type() == values.scalar_type(), "[adam] ", name, " is ", t.scalar_type(), " beside ", values.scalar_type());
  }
  if (shadow) {
    check_flat(*shadow, values, "shadow");
    TORCH_CHECK(shadow->scalar_type() == at::kBFloat16, "[adam] shadow must be bfloat16, got ", shadow->scalar_type());
  }
  check_control(control, values.device());
  TORCH_CHECK(chunks.scalar_type() == at::kDouble && chunks.dim() == 2 && chunks.size(1) == 4 && chunks.device() == values.device(),
              "[adam] chunks must come from adam_chunks on the parameters' device");
}

void decide_meta(const Tensor& grads, const Tensor& loss, Tensor control, Tensor log, double, double) {
  check_decide(grads, loss, control, log);
}
void apply_meta(Tensor values, const Tensor& grads, Tensor first, Tensor second, const std::optional<Tensor>& shadow, const Tensor& control,
                const Tensor& chunks, double, double, double, bool) {
  check_apply(values, grads, first, second, shadow, control, chunks);
}

const auto& decide_op() {
  static const auto op = c10::Dispatcher::singleton().findSchemaOrThrow("assay::decide_update_", "").typed<Decide>();
  return op;
}
const auto& apply_op() {
  static const auto op = c10::Dispatcher::singleton().findSchemaOrThrow("assay::adam_", "").typed<Apply>();
  return op;
}

// An update is no function to differentiate: these only check, and go below autograd.
void decide_below(const Tensor& grads, const Tensor& loss, Tensor control, Tensor log, double beta1, double beta2) {
  if (!grads.is_meta()) check_decide(grads, loss, control, log);
  const at::AutoDispatchBelowADInplaceOrView below;
  decide_op().call(grads, loss, std::move(control), std::move(log), beta1, beta2);
}
void apply_below(Tensor values, const Tensor& grads, Tensor first, Tensor second, const std::optional<Tensor>& shadow,
                 const Tensor& control, const Tensor& chunks, double beta1, double beta2, double eps, bool decoupled) {
  if (!values.is_meta()) check_apply(values, grads, first, second, shadow, control, chunks);
  const at::AutoDispatchBelowADInplaceOrView below;
  apply_op().call(std::move(values), grads, std::move(first), std::move(second), shadow, control, chunks, beta1, beta2, eps, decoupled);
}

}  // namespace

void decide_update_(const Tensor& grads, const Tensor& loss, const Tensor& control, const Tensor& log, double beta1, double beta2) {
  decide_op().call(grads, loss, control, log, beta1, beta2);
}

void adam_(const Tensor& values, const Tensor& grads, const Tensor& first, const Tensor& second, const Tensor& shadow,
           const Tensor& control, const Tensor& chunks, const AdamSettings& s) {
  apply_op().call(values, grads, first, second, shadow.defined() ? std::optional(shadow) : std::nullopt, control, chunks, s.beta1, s.beta2,
                  s.eps, s.decoupled);
}

Tensor adam_chunks(const std::vector<AdamGroup>& groups, const at::Device& device) {
  std::vector<AdamGroup> pieces;
  for (const AdamGroup& g : groups)
    for (int64_t begin = g.begin; begin < g.end; begin += kAdamChunk)
      pieces.push_back({begin, std::min(begin + kAdamChunk, g.end), g.rate_scale, g.weight_decay});
  const Tensor table = at::empty({static_cast<int64_t>(pieces.size()), 4}, at::TensorOptions().dtype(at::kDouble));
  double* row = table.data_ptr<double>();
  for (const AdamGroup& p : pieces) {
    row[0] = static_cast<double>(p.begin);
    row[1] = static_cast<double>(p.end);
    row[2] = p.rate_scale;
    row[3] = p.weight_decay;
    row += 4;
  }
  return table.to(device);
}

void adam_reference_(const Tensor& values, const Tensor& grads, const Tensor& first, const Tensor& second, double lr, double weight_decay,
                     double scale, int64_t updates, const AdamSettings& s) {
  const at::NoGradGuard no_grad;
  Tensor g = grads * scale;
  if (s.decoupled) values.mul_(1 - lr * weight_decay);
  else g = g + values * weight_decay;
  first.mul_(s.beta1).add_(g, 1 - s.beta1);
  second.mul_(s.beta2).add_(g * g, 1 - s.beta2);
  const double n = static_cast<double>(updates), correction1 = 1 - std::pow(s.beta1, n), correction2 = 1 - std::pow(s.beta2, n);
  values.sub_(first / correction1 / (at::sqrt(second / correction2) + s.eps) * lr);
}

TORCH_LIBRARY_FRAGMENT(assay, m) {
  m.def("decide_update_(Tensor grads, Tensor loss, Tensor(a!) control, Tensor(b!) log, float beta1, float beta2) -> ()");
  m.def("adam_(Tensor(a!) values, Tensor grads, Tensor(b!) first, Tensor(c!) second, Tensor(d!)? shadow, Tensor control, Tensor chunks, "
        "float beta1, float beta2, float eps, bool decoupled) -> ()");
}
TORCH_LIBRARY_IMPL(assay, Autograd, m) {
  m.impl("decide_update_", decide_below);
  m.impl("adam_", apply_below);
}
TORCH_LIBRARY_IMPL(assay, Meta, m) {
  m.impl("decide_update_", decide_meta);
  m.impl("adam_", apply_meta);
}

}  // namespace assay::ops
