#include "assay/ops/normalize/normalize.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/rsqrt.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "assay/ops/normalize/normalize_op.h"
#include "assay/tensor/first_order.h"

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
  static variable_list forward(AutogradContext* ctx, const Tensor& x, const MaybeTensor& branch, const MaybeTensor& scale,
                               const MaybeTensor& bias, const NormalizeNumbers& n) {
    const at::AutoDispatchBelowADInplaceOrView below;
    auto [z, scaled, sum] = forward_op().call(x, branch, scale, bias, n.eps, n.centered, n.bf16, n.with_z);
    const Tensor through = branch ? sum : x;
    ctx->save_for_backward({through, scale.value_or(Tensor())});
    ctx->saved_data["eps"] = n.eps;
    ctx->saved_data["centered"] = n.centered;
    ctx->saved_data["branch"] = branch.has_value();
    ctx->saved_data["narrow_branch"] = branch && branch->scalar_type() != x.scalar_type();
    ctx->saved_data["bias"] = bias.has_value();
    ctx->set_materialize_grads(false);
    return {z, scaled, through};
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& g) {
    const variable_list saved = ctx->get_saved_variables();
    const tensor::FirstOrderOnly once("normalize", g, saved);
    const bool scale = saved[1].defined(), bias = ctx->saved_data["bias"].toBool(), narrow = ctx->saved_data["narrow_branch"].toBool();
    auto [dx, dbranch, dscale, dbias] =
        backward_op().call(maybe(g[0]), scale ? maybe(g[1]) : std::nullopt, maybe(g[2]), saved[0], maybe(saved[1]), bias,
                           ctx->saved_data["eps"].toDouble(), ctx->saved_data["centered"].toBool(), narrow);
    const Tensor to_branch = narrow ? dbranch : ctx->saved_data["branch"].toBool() ? dx : Tensor();
    return {dx, to_branch, scale ? dscale : Tensor(), bias ? dbias : Tensor(), Tensor()};
  }
};

// Called through the dispatcher, z, scaled and sum are differentiable; without a branch `through` exists for `normalize` alone.
NormalizeResult differentiable(const Tensor& x, const MaybeTensor& branch, const MaybeTensor& scale, const MaybeTensor& bias, double eps,
                               bool centered, bool bf16, bool with_z) {
  check_normalize(x, branch, scale, bias, bf16);
  const variable_list out = NormalizeFunction::apply(x, branch, scale, bias, NormalizeNumbers{eps, centered, bf16, with_z});
  return {out[0], out[1], branch ? out[2] : at::empty({0}, x.options())};
}

NormalizeGrads without_second(const MaybeTensor& dz, const MaybeTensor& dscaled, const MaybeTensor& dthrough, const Tensor& x,
                              const MaybeTensor& scale, bool with_bias, double eps, bool centered, bool narrow_branch) {
  const tensor::FirstOrderOnly once("normalize", {x});
  const at::AutoDispatchBelowADInplaceOrView below;
  return backward_op().call(dz, dscaled, dthrough, x, scale, with_bias, eps, centered, narrow_branch);
}

NormalizeResult shapes(const Tensor& x, const MaybeTensor& branch, const MaybeTensor& scale, const MaybeTensor& bias, double, bool,
                       bool bf16, bool with_z) {
  check_normalize(x, branch, scale, bias, bf16);
  const auto wanted = [&](bool want, at::ScalarType dtype) {
    return want ? at::empty(x.sizes(), x.options().dtype(dtype)) : at::empty({0}, x.options().dtype(dtype));
  };
  const at::ScalarType narrow = bf16 ? at::kBFloat16 : x.scalar_type();
  return {wanted(with_z, narrow), wanted(scale.has_value(), narrow), wanted(branch.has_value(), x.scalar_type())};
}
NormalizeGrads gradient_shapes(const MaybeTensor&, const MaybeTensor&, const MaybeTensor&, const Tensor& x, const MaybeTensor& scale,
                               bool with_bias, double, bool, bool narrow_branch) {
  const auto columns = [&](bool want) { return at::empty({want ? x.size(-1) : 0}, x.options()); };
  const auto half = x.options().dtype(at::kBFloat16);
  return {at::empty_like(x, x.options(), at::MemoryFormat::Contiguous),
          narrow_branch ? at::empty_like(x, half, at::MemoryFormat::Contiguous) : at::empty({0}, half), columns(scale.has_value()),
          columns(with_bias)};
}

Normalized affine(const Tensor& x, const MaybeTensor& branch, const Tensor& gain, const Tensor& bias, const AffineNorm& norm) {
  TORCH_CHECK(gain.defined(), "[normalize] an affine norm has a gain");
  check_normalize(x, branch, gain, maybe(bias), norm.bf16);
  const variable_list out =
      NormalizeFunction::apply(x, branch, MaybeTensor(gain), maybe(bias), NormalizeNumbers{norm.eps, norm.centered, norm.bf16, false});
  return {Tensor(), out[1], out[2]};
}

}  // namespace

Normalized normalize(const Tensor& x, const Tensor& scale, double eps, bool bf16) {
  check_normalize(x, {}, maybe(scale), {}, bf16);
  const variable_list out =
      NormalizeFunction::apply(x, MaybeTensor(), maybe(scale), MaybeTensor(), NormalizeNumbers{eps, false, bf16, true});
  return {out[0], scale.defined() ? out[1] : Tensor(), out[2]};
}

Normalized affine_norm(const Tensor& x, const Tensor& gain, const Tensor& bias, const AffineNorm& norm) {
  return affine(x, {}, gain, bias, norm);
}

Normalized affine_norm_of_sum(const Tensor& x, const Tensor& branch, const Tensor& gain, const Tensor& bias, const AffineNorm& norm) {
  if (branch.scalar_type() != (norm.bf16 ? at::kBFloat16 : x.scalar_type())) return affine(x + branch, {}, gain, bias, norm);
  return affine(x, branch, gain, bias, norm);
}

Normalized normalize_reference(const Tensor& x, const Tensor& scale, double eps) {
  const Tensor z = x * at::rsqrt(x.square().mean(-1, true) + eps);
  return {z, scale.defined() ? z * scale : Tensor(), x};
}

Normalized affine_norm_reference(const Tensor& x, const Tensor& gain, const Tensor& bias, const AffineNorm& norm) {
  const Tensor y = norm.centered ? x - x.mean(-1, true) : x, z = y * at::rsqrt(y.square().mean(-1, true) + norm.eps) * gain;
  return {Tensor(), bias.defined() ? z + bias : z, x};
}

void check_normalize(const Tensor& x, const MaybeTensor& branch, const MaybeTensor& scale, const MaybeTensor& bias, bool bf16) {
  TORCH_CHECK(x.dim() >= 1 && x.size(-1) > 0 && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble),
              "[normalize] x must be [..., n] float32 or float64, got ", x.scalar_type(), " ", x.sizes());
  TORCH_CHECK(!bf16 || x.scalar_type() == at::kFloat, "[normalize] bfloat16 results come from float32, not from ", x.scalar_type());
  const at::ScalarType narrow = bf16 ? at::kBFloat16 : x.scalar_type();
  TORCH_CHECK(!branch || (branch->sizes() == x.sizes() && branch->scalar_type() == narrow && branch->device() == x.device()),
              "[normalize] branch must be ", narrow, " ", x.sizes(), " on ", x.device());
  const auto suits = [&](const MaybeTensor& t) {
    return !t || (t->dim() == 1 && t->size(0) == x.size(-1) && t->scalar_type() == x.scalar_type() && t->device() == x.device());
  };
  TORCH_CHECK(suits(scale), "[normalize] scale must be ", x.scalar_type(), " [", x.size(-1), "] on ", x.device());
  TORCH_CHECK(suits(bias), "[normalize] bias must be ", x.scalar_type(), " [", x.size(-1), "] on ", x.device());
  TORCH_CHECK(!bias || scale, "[normalize] a bias comes with a scale");
}

TORCH_LIBRARY_FRAGMENT(assay, m) {
  m.def("normalize(Tensor x, Tensor? branch, Tensor? scale, Tensor? bias, float eps, bool centered, bool bf16, bool with_z) -> "
        "(Tensor, Tensor, Tensor)");
  m.def("normalize_backward(Tensor? dz, Tensor? dscaled, Tensor? dthrough, Tensor x, Tensor? scale, bool with_bias, float eps, "
        "bool centered, bool narrow_branch) -> (Tensor, Tensor, Tensor, Tensor)");
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
