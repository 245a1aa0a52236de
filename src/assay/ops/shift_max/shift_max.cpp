#include "assay/ops/shift_max/shift_max.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/where.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "assay/ops/shift_max/shift_max_op.h"
#include "assay/tensor/first_order.h"

namespace assay::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

const auto& forward_op() {
  static const auto op = c10::Dispatcher::singleton().findSchemaOrThrow("assay::shift_max", "").typed<ShiftMaxForward>();
  return op;
}
const auto& backward_op() {
  static const auto op = c10::Dispatcher::singleton().findSchemaOrThrow("assay::shift_max_backward", "").typed<ShiftMaxBackward>();
  return op;
}

struct ShiftMax : torch::autograd::Function<ShiftMax> {
  static Tensor forward(AutogradContext* ctx, const Tensor& z, int64_t k, double tau) {
    const at::AutoDispatchBelowADInplaceOrView below;
    ctx->save_for_backward({z});
    ctx->saved_data["k"] = k;
    ctx->saved_data["tau"] = tau;
    return forward_op().call(z, k, tau);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& g) {
    const variable_list s = ctx->get_saved_variables();
    const tensor::FirstOrderOnly once("shift_max", g, s);
    return {backward_op().call(g[0], s[0], ctx->saved_data["k"].toInt(), ctx->saved_data["tau"].toDouble()), Tensor(), Tensor()};
  }
};

Tensor differentiable(const Tensor& z, int64_t k, double tau) {
  check_shift_max(z, k, tau);
  return ShiftMax::apply(z, k, tau);
}

Tensor without_second(const Tensor& g, const Tensor& z, int64_t k, double tau) {
  const tensor::FirstOrderOnly once("shift_max", {g, z});
  const at::AutoDispatchBelowADInplaceOrView below;
  return backward_op().call(g, z, k, tau);
}

Tensor shape(const Tensor& z, int64_t k, double tau) {
  check_shift_max(z, k, tau);
  return at::empty_like(z, z.options(), at::MemoryFormat::Contiguous);
}
Tensor gradient_shape(const Tensor&, const Tensor& z, int64_t k, double tau) { return shape(z, k, tau); }

}  // namespace

Tensor shift_max(const Tensor& z, int64_t k, double tau) { return differentiable(z, k, tau); }

ShiftMaxParts shift_max_parts(const Tensor& z, int64_t k, double tau) {
  const Tensor u = (z - z.mean(-1, true)) / tau, r = u.abs() / static_cast<double>(k) + 1, h = r.reciprocal();
  const Tensor base = at::where(u >= 0, r, h);
  Tensor w = base;
  for (int64_t i = 1; i < k; ++i) w = w * base;
  return {w / w.sum(-1, true), h};
}

Tensor shift_max_reference(const Tensor& z, int64_t k, double tau) {
  const Tensor u = (z - z.mean(-1, true)) / tau;
  // Each side by itself, so that the derivative at u = 0 is that of 1 + u.
  const Tensor up = at::where(u >= 0, u, u * 0), down = at::where(u < 0, u, u * 0);
  const Tensor w =
      (up / static_cast<double>(k) + 1).pow(static_cast<double>(k)) / (1 - down / static_cast<double>(k)).pow(static_cast<double>(k));
  return w / w.sum(-1, true);
}

void check_shift_max(const Tensor& z, int64_t k, double tau) {
  TORCH_CHECK(z.dim() >= 1 && z.size(-1) > 0 && (z.scalar_type() == at::kFloat || z.scalar_type() == at::kDouble),
              "[shift_max] z must be [..., n] float32 or float64, got ", z.scalar_type(), " ", z.sizes());
  TORCH_CHECK(k >= 1, "[shift_max] the sharpness k must be at least 1, got ", k);
  TORCH_CHECK(tau > 0, "[shift_max] the temperature tau must be more than 0, got ", tau);
}

void check_shift_max_gradient(const Tensor& g, const Tensor& z, int64_t k, double tau) {
  check_shift_max(z, k, tau);
  TORCH_CHECK(g.sizes() == z.sizes() && g.scalar_type() == z.scalar_type() && g.device() == z.device(), "[shift_max] the gradient must be ",
              z.scalar_type(), " ", z.sizes(), " on ", z.device(), ", got ", g.scalar_type(), " ", g.sizes(), " on ", g.device());
}

TORCH_LIBRARY_FRAGMENT(assay, m) {
  m.def("shift_max(Tensor z, int k, float tau) -> Tensor");
  m.def("shift_max_backward(Tensor g, Tensor z, int k, float tau) -> Tensor");
}
TORCH_LIBRARY_IMPL(assay, Autograd, m) {
  m.impl("shift_max", differentiable);
  m.impl("shift_max_backward", without_second);
}
TORCH_LIBRARY_IMPL(assay, Meta, m) {
  m.impl("shift_max", shape);
  m.impl("shift_max_backward", gradient_shape);
}

}  // namespace assay::ops
