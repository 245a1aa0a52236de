#include "assay/ops/normalize/normalize.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/rsqrt.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "assay/ops/normalize/normalize_op.h"

namespace assay::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

const auto& forward_op() {
  static const auto op = c10::Dispatcher::singleton().findSchemaOrThrow("assay::normalize", "").typed<NormalizeForward>();
  return op;
}
const auto& backward_op() {
  static const auto op = c10::Dispatcher::singleton().findSchemaOrThrow("assay::normalize_backward", "").typed<NormalizeBackward>();
  return op;
}

MaybeTensor maybe(const Tensor& t) { return t.defined() ? MaybeTensor(t) : std::nullopt; }

struct NormalizeFunction : torch::autograd::Function<NormalizeFunction> {
  static variable_list forward(AutogradContext* ctx, const Tensor& x, const MaybeTensor& scale, double eps, bool bf16) {
    const at::AutoDispatchBelowADInplaceOrView below;
    ctx->save_for_backward({x, scale.value_or(Tensor())});
    ctx->saved_data["eps"] = eps;
    ctx->set_materialize_grads(false);
    auto [z, scaled] = forward_op().call(x, scale, eps, bf16);
    return {z, scaled, x};
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& g) {
    const variable_list saved = ctx->get_saved_variables();
    const at::NoGradGuard once;
    auto [dx, dscale] = backward_op().call(maybe(g[0]), saved[1].defined() ? maybe(g[1]) : std::nullopt, maybe(g[2]), saved[0],
                                           maybe(saved[1]), ctx->saved_data["eps"].toDouble());
    return {dx, saved[1].defined() ? dscale : Tensor(), Tensor(), Tensor()};
  }
};

// Called through the dispatcher, z and scaled are differentiable; `through` exists for `normalize` alone.
Two differentiable(const Tensor& x, const MaybeTensor& scale, double eps, bool bf16) {
  check_normalize(x, scale, bf16);
  const variable_list out = NormalizeFunction::apply(x, scale, eps, bf16);
  return {out[0], out[1]};
}

Two without_second(const MaybeTensor& dz, const MaybeTensor& dscaled, const MaybeTensor& dthrough, const Tensor& x,
                   const MaybeTensor& scale, double eps) {
  const at::AutoDispatchBelowADInplaceOrView below;
  return backward_op().call(dz, dscaled, dthrough, x, scale, eps);
}

Two shapes(const Tensor& x, const MaybeTensor& scale, double, bool bf16) {
  check_normalize(x, scale, bf16);
  const auto like = at::empty_like(x, x.options().dtype(bf16 ? at::kBFloat16 : x.scalar_type()), at::MemoryFormat::Contiguous);
  return {like, scale ? at::empty_like(like) : at::empty({0}, like.options())};
}
Two gradient_shapes(const MaybeTensor&, const MaybeTensor&, const MaybeTensor&, const Tensor& x, const MaybeTensor& scale, double) {
  return {at::empty_like(x, x.options(), at::MemoryFormat::Contiguous), scale ? at::empty_like(*scale) : at::empty({0}, x.options())};
}

}  // namespace

Normalized normalize(const Tensor& x, const Tensor& scale, double eps, bool bf16) {
  check_normalize(x, maybe(scale), bf16);
  const variable_list out = NormalizeFunction::apply(x, maybe(scale), eps, bf16);
  return {out[0], scale.defined() ? out[1] : Tensor(), out[2]};
}

Normalized normalize_reference(const Tensor& x, const Tensor& scale, double eps) {
  const Tensor z = x * at::rsqrt(x.square().mean(-1, true) + eps);
  return {z, scale.defined() ? z * scale : Tensor(), x};
}

void check_normalize(const Tensor& x, const MaybeTensor& scale, bool bf16) {
  TORCH_CHECK(x.dim() >= 1 && x.size(-1) > 0 && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble),
              "[normalize] x must be [..., n] float32 or float64, got ", x.scalar_type(), " ", x.sizes());
  TORCH_CHECK(!bf16 || (x.scalar_type() == at::kFloat && !x.is_cpu()), "[normalize] bfloat16 results come from float32 on CUDA, not from ",
              x.scalar_type(), " on ", x.device());
  TORCH_CHECK(!scale || (scale->dim() == 1 && scale->size(0) == x.size(-1) && scale->scalar_type() == x.scalar_type() &&
                         scale->device() == x.device()),
              "[normalize] scale must be ", x.scalar_type(), " [", x.size(-1), "] on ", x.device());
}

TORCH_LIBRARY_FRAGMENT(assay, m) {
  m.def("normalize(Tensor x, Tensor? scale, float eps, bool bf16) -> (Tensor, Tensor)");
  m.def("normalize_backward(Tensor? dz, Tensor? dscaled, Tensor? dthrough, Tensor x, Tensor? scale, float eps) -> (Tensor, Tensor)");
}
TORCH_LIBRARY_IMPL(assay, Autograd, m) {
  m.impl("normalize", differentiable);
  m.impl("normalize_backward", without_second);
}
TORCH_LIBRARY_IMPL(assay, Meta, m) {
  m.impl("normalize", shapes);
  m.impl("normalize_backward", gradient_shapes);
}

}  // namespace assay::ops
