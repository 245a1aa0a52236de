#include "assay/ops/sphere_step/sphere_step.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/sigmoid.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "assay/ops/sphere_step/sphere_step_op.h"
#include "assay/tensor/first_order.h"

namespace assay::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

const auto& forward_op() {
  static const auto op = c10::Dispatcher::singleton().findSchemaOrThrow("assay::sphere_step", "").typed<SphereForward>();
  return op;
}
const auto& backward_op() {
  static const auto op = c10::Dispatcher::singleton().findSchemaOrThrow("assay::sphere_step_backward", "").typed<SphereBackward>();
  return op;
}

MaybeTensor maybe(const Tensor& t) { return t.defined() ? MaybeTensor(t) : std::nullopt; }

struct SphereFunction : torch::autograd::Function<SphereFunction> {
  static variable_list forward(AutogradContext* ctx, const Tensor& x, const MaybeTensor& rho, const MaybeTensor& alpha,
                               const MaybeTensor& gate, double eps, bool bf16) {
    const at::AutoDispatchBelowADInplaceOrView below;
    auto [y, narrow, r] = forward_op().call(x, rho, alpha, gate, eps, bf16);
    ctx->save_for_backward({y, r, rho.value_or(Tensor()), alpha.value_or(Tensor()), gate.value_or(Tensor())});
    ctx->saved_data["bf16"] = bf16;
    ctx->set_materialize_grads(false);
    ctx->mark_non_differentiable({r});
    return {y, narrow, r};
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& g) {
    const variable_list s = ctx->get_saved_variables();
    const tensor::FirstOrderOnly once("sphere_step", g, s);
    const Tensor narrow = ctx->saved_data["bf16"].toBool() ? g[1] : Tensor();
    auto [dx, drho, dalpha, dgate] = backward_op().call(maybe(g[0]), maybe(narrow), s[0], s[1], maybe(s[2]), maybe(s[3]), maybe(s[4]));
    const auto present = [](const Tensor& grad, const Tensor& operand) { return operand.defined() ? grad : Tensor(); };
    return {dx, present(drho, s[2]), present(dalpha, s[3]), present(dgate, s[4]), Tensor(), Tensor()};
  }
};

SphereResult differentiable(const Tensor& x, const MaybeTensor& rho, const MaybeTensor& alpha, const MaybeTensor& gate, double eps,
                            bool bf16) {
  check_sphere_step(x, rho, alpha, gate, bf16);
  const variable_list out = SphereFunction::apply(x, rho, alpha, gate, eps, bf16);
  return {out[0], out[1], out[2]};
}

SphereGrads without_second(const MaybeTensor& dy, const MaybeTensor& dnarrow, const Tensor& y, const Tensor& r, const MaybeTensor& rho,
                           const MaybeTensor& alpha, const MaybeTensor& gate) {
  const tensor::FirstOrderOnly once("sphere_step", {y, r});
  const at::AutoDispatchBelowADInplaceOrView below;
  return backward_op().call(dy, dnarrow, y, r, rho, alpha, gate);
}

std::vector<int64_t> rows_of(const Tensor& x) { return x.sizes().slice(0, x.dim() - 1).vec(); }

SphereResult shapes(const Tensor& x, const MaybeTensor& rho, const MaybeTensor& alpha, const MaybeTensor& gate, double, bool bf16) {
  check_sphere_step(x, rho, alpha, gate, bf16);
  const auto half = x.options().dtype(at::kBFloat16);
  return {at::empty(x.sizes(), x.options()), bf16 ? at::empty(x.sizes(), half) : at::empty({0}, half), at::empty(rows_of(x), x.options())};
}
SphereGrads gradient_shapes(const MaybeTensor&, const MaybeTensor&, const Tensor& y, const Tensor&, const MaybeTensor& rho,
                            const MaybeTensor& alpha, const MaybeTensor& gate) {
  const auto like = [&](const MaybeTensor& t) { return t ? at::empty(t->sizes(), t->options()) : at::empty({0}, y.options()); };
  return {at::empty(y.sizes(), y.options()), like(rho), like(alpha), like(gate)};
}

// alpha sigmoid(gate), undefined: 1.
Tensor step_of(const MaybeTensor& alpha, const MaybeTensor& gate) {
  if (!gate) return alpha.value_or(Tensor());
  return alpha ? at::sigmoid(*gate) * *alpha : at::sigmoid(*gate);
}

}  // namespace

OnSphere sphere_step(const Tensor& x, const SphereBranch& b, double eps, bool bf16) {
  const auto [y, narrow, r] = differentiable(x, maybe(b.rho), maybe(b.alpha), maybe(b.gate), eps, bf16);
  return {y, bf16 ? narrow : Tensor()};
}

Tensor sphere_step_reference(const Tensor& x, const SphereBranch& b, double eps) {
  const Tensor step = step_of(maybe(b.alpha), maybe(b.gate));
  const Tensor h = !b.rho.defined() ? x : step.defined() ? x + b.rho * step : x + b.rho;
  return h * at::rsqrt(h.square().sum(-1, true) + eps);
}

SphereResult sphere_step_by_calls(const Tensor& x, const MaybeTensor& rho, const MaybeTensor& alpha, const MaybeTensor& gate, double eps,
                                  bool bf16) {
  const Tensor step = step_of(alpha, gate), branch = rho ? rho->to(x.scalar_type()) : Tensor();
  const Tensor h = !rho ? x : step.defined() ? x + branch * step : x + branch;
  const Tensor r = at::rsqrt(h.square().sum(-1, true) + eps), y = (h * r).contiguous();
  const auto half = x.options().dtype(at::kBFloat16);
  return {y, bf16 ? y.to(at::kBFloat16) : at::empty({0}, half), r.squeeze(-1)};
}

SphereGrads sphere_step_backward_by_calls(const MaybeTensor& dy, const MaybeTensor& dnarrow, const Tensor& y, const Tensor& r,
                                          const MaybeTensor& rho, const MaybeTensor& alpha, const MaybeTensor& gate) {
  Tensor u = dy ? *dy : dnarrow->to(y.scalar_type());
  if (dy && dnarrow) u = u + *dnarrow;
  const Tensor dx = ((u - y * (u * y).sum(-1, true)) * r.unsqueeze(-1)).contiguous(), none = at::empty({0}, y.options());
  if (!rho) return {dx, none, none, none};
  const Tensor step = step_of(alpha, gate), drho = (step.defined() ? dx * step : dx).to(rho->scalar_type()).contiguous();
  const Tensor G = (dx * *rho).reshape({-1, y.size(-1)}).sum(0);
  if (!gate) return {dx, drho, alpha ? G.sum().view(alpha->sizes()) : none, none};
  const Tensor s = at::sigmoid(*gate), slope = s * (1 - s) * G;
  return {dx, drho, alpha ? (s * G).sum().view(alpha->sizes()) : none, alpha ? slope * *alpha : slope};
}

void check_sphere_step(const Tensor& x, const MaybeTensor& rho, const MaybeTensor& alpha, const MaybeTensor& gate, bool bf16) {
  TORCH_CHECK(x.dim() >= 1 && x.size(-1) > 0 && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble),
              "[sphere_step] x must be [..., n] float32 or float64, got ", x.scalar_type(), " ", x.sizes());
  const bool may_be_narrow = x.scalar_type() == at::kFloat && !x.is_cpu();
  TORCH_CHECK(!bf16 || may_be_narrow, "[sphere_step] bfloat16 results come from float32 on CUDA, not from ", x.scalar_type(), " on ",
              x.device());
  TORCH_CHECK(!rho || (rho->sizes() == x.sizes() && rho->device() == x.device() &&
                       (rho->scalar_type() == x.scalar_type() || (may_be_narrow && rho->scalar_type() == at::kBFloat16))),
              "[sphere_step] rho must be ", x.scalar_type(), " (or bfloat16 on CUDA) ", x.sizes(), " on ", x.device());
  TORCH_CHECK(rho || (!alpha && !gate), "[sphere_step] alpha and gate belong to a branch");
  TORCH_CHECK(!alpha || (alpha->numel() == 1 && alpha->scalar_type() == x.scalar_type() && alpha->device() == x.device()),
              "[sphere_step] alpha must be one ", x.scalar_type(), " on ", x.device());
  TORCH_CHECK(
      !gate || (gate->dim() == 1 && gate->size(0) == x.size(-1) && gate->scalar_type() == x.scalar_type() && gate->device() == x.device()),
      "[sphere_step] gate must be ", x.scalar_type(), " [", x.size(-1), "] on ", x.device());
}

void check_sphere_step_gradient(const MaybeTensor& dy, const MaybeTensor& dnarrow, const Tensor& y, const Tensor& r, const MaybeTensor& rho,
                                const MaybeTensor& alpha, const MaybeTensor& gate) {
  check_sphere_step(y, rho, alpha, gate, false);
  TORCH_CHECK(y.is_contiguous() && r.is_contiguous() && r.scalar_type() == y.scalar_type() && r.numel() * y.size(-1) == y.numel(),
              "[sphere_step] y and r must be what the forward pass gave, got ", y.sizes(), " and ", r.sizes());
  TORCH_CHECK(dy || dnarrow, "[sphere_step] wanted the gradient of y or of its bfloat16 copy, got neither");
  TORCH_CHECK(!dy || (dy->sizes() == y.sizes() && dy->scalar_type() == y.scalar_type()), "[sphere_step] dy must be ", y.scalar_type(), " ",
              y.sizes());
  TORCH_CHECK(!dnarrow || (dnarrow->sizes() == y.sizes() && dnarrow->scalar_type() == at::kBFloat16),
              "[sphere_step] dnarrow must be bfloat16 ", y.sizes());
}

TORCH_LIBRARY_FRAGMENT(assay, m) {
  m.def("sphere_step(Tensor x, Tensor? rho, Tensor? alpha, Tensor? gate, float eps, bool bf16) -> (Tensor, Tensor, Tensor)");
  m.def("sphere_step_backward(Tensor? dy, Tensor? dnarrow, Tensor y, Tensor r, Tensor? rho, Tensor? alpha, Tensor? gate) -> "
        "(Tensor, Tensor, Tensor, Tensor)");
}
TORCH_LIBRARY_IMPL(assay, Autograd, m) {
  m.impl("sphere_step", differentiable);
  m.impl("sphere_step_backward", without_second);
}
TORCH_LIBRARY_IMPL(assay, Meta, m) {
  m.impl("sphere_step", shapes);
  m.impl("sphere_step_backward", gradient_shapes);
}

}  // namespace assay::ops
