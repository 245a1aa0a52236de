#include "assay/ops/residual/residual.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/silu.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "assay/ops/residual/residual_op.h"
#include "assay/tensor/first_order.h"

namespace assay::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

const auto& forward_op() {
  static const auto op = c10::Dispatcher::singleton().findSchemaOrThrow("assay::residual", "").typed<ResidualForward>();
  return op;
}
const auto& backward_op() {
  static const auto op = c10::Dispatcher::singleton().findSchemaOrThrow("assay::residual_backward", "").typed<ResidualBackward>();
  return op;
}

MaybeTensor maybe(const Tensor& t) { return t.defined() ? MaybeTensor(t) : std::nullopt; }

struct ResidualFunction : torch::autograd::Function<ResidualFunction> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& m, const MaybeTensor& z, const MaybeTensor& diag,
                        const MaybeTensor& bias, const Tensor& c, int64_t activation) {
    const at::AutoDispatchBelowADInplaceOrView below;
    ctx->save_for_backward({m, z.value_or(Tensor()), diag.value_or(Tensor()), bias.value_or(Tensor()), c});
    ctx->saved_data["activation"] = activation;
    return forward_op().call(x, m, z, diag, bias, c, activation);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& g) {
    const variable_list s = ctx->get_saved_variables();
    const tensor::FirstOrderOnly once("residual", g, s);
    auto [dm, dz, ddiag, dbias, dc] =
        backward_op().call(g[0], s[0], maybe(s[1]), maybe(s[2]), maybe(s[3]), s[4], ctx->saved_data["activation"].toInt());
    const auto present = [](const Tensor& grad, const Tensor& operand) { return operand.defined() ? grad : Tensor(); };
    return {g[0], dm, present(dz, s[1]), present(ddiag, s[2]), present(dbias, s[3]), dc, Tensor()};
  }
};

Tensor differentiable(const Tensor& x, const Tensor& m, const MaybeTensor& z, const MaybeTensor& diag, const MaybeTensor& bias,
                      const Tensor& c, int64_t activation) {
  check_residual(x, m, z, diag, bias, c, activation);
  return ResidualFunction::apply(x, m, z, diag, bias, c, activation);
}

ResidualGrads without_second(const Tensor& g, const Tensor& m, const MaybeTensor& z, const MaybeTensor& diag, const MaybeTensor& bias,
                             const Tensor& c, int64_t activation) {
  const tensor::FirstOrderOnly once("residual", {g, m, c});
  const at::AutoDispatchBelowADInplaceOrView below;
  return backward_op().call(g, m, z, diag, bias, c, activation);
}

Tensor shape(const Tensor& x, const Tensor& m, const MaybeTensor& z, const MaybeTensor& diag, const MaybeTensor& bias, const Tensor& c,
             int64_t activation) {
  check_residual(x, m, z, diag, bias, c, activation);
  return at::empty_like(x, x.options(), at::MemoryFormat::Contiguous);
}
ResidualGrads gradient_shapes(const Tensor& g, const Tensor& m, const MaybeTensor& z, const MaybeTensor& diag, const MaybeTensor& bias,
                              const Tensor& c, int64_t) {
  const auto like = [&](const MaybeTensor& t) {
    return t ? at::empty_like(*t, t->options(), at::MemoryFormat::Contiguous) : at::empty({0}, g.options());
  };
  return {like(m), like(z), like(diag), like(bias), like(c)};
}

}  // namespace

Tensor residual(const Tensor& x, const Branch& b, const Tensor& c) {
  return forward_op().call(x, b.m, maybe(b.z), maybe(b.diag), maybe(b.bias), c, static_cast<int64_t>(b.activation));
}

Tensor residual_reference(const Tensor& x, const Branch& b, const Tensor& c) {
  Tensor a = b.m;
  if (b.bias.defined()) a = a + b.bias;
  if (b.diag.defined()) a = a + b.z * b.diag;
  switch (b.activation) {
    case Pointwise::gelu: a = at::gelu(a); break;
    case Pointwise::relu: a = at::relu(a); break;
    case Pointwise::relu2: a = at::relu(a).square(); break;
    case Pointwise::swish: a = at::silu(a); break;
    case Pointwise::none: break;
  }
  return x + a * c;
}

void check_residual(const Tensor& x, const Tensor& m, const MaybeTensor& z, const MaybeTensor& diag, const MaybeTensor& bias,
                    const Tensor& c, int64_t activation) {
  TORCH_CHECK(x.dim() >= 1 && x.size(-1) > 0 && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble),
              "[residual] x must be [..., n] float32 or float64, got ", x.scalar_type(), " ", x.sizes());
  const bool bf16 = m.scalar_type() == at::kBFloat16 && x.scalar_type() == at::kFloat;
  TORCH_CHECK(m.sizes() == x.sizes() && m.device() == x.device() && (m.scalar_type() == x.scalar_type() || bf16), "[residual] m must be ",
              x.scalar_type(), " (or bfloat16 beside float32) ", x.sizes(), " on ", x.device(), ", got ", m.scalar_type(), " ", m.sizes(),
              " on ", m.device());
  TORCH_CHECK(z.has_value() == diag.has_value(), "[residual] z and diag come together");
  TORCH_CHECK(!z || (z->sizes() == x.sizes() && z->scalar_type() == m.scalar_type() && z->device() == x.device()),
              "[residual] z must be as m");
  for (const MaybeTensor* t : {&diag, &bias})
    TORCH_CHECK(
        !*t || ((*t)->dim() == 1 && (*t)->size(0) == x.size(-1) && (*t)->scalar_type() == x.scalar_type() && (*t)->device() == x.device()),
        "[residual] bias and diag must be ", x.scalar_type(), " [", x.size(-1), "] on ", x.device());
  TORCH_CHECK(
      (c.numel() == 1 || (c.dim() == 1 && c.size(0) == x.size(-1))) && c.scalar_type() == x.scalar_type() && c.device() == x.device(),
      "[residual] c must be one ", x.scalar_type(), " or [", x.size(-1), "] of it on ", x.device());
  TORCH_CHECK(activation >= 0 && activation <= static_cast<int64_t>(Pointwise::swish), "[residual] no activation has the number ",
              activation);
}

TORCH_LIBRARY_FRAGMENT(assay, m) {
  m.def("residual(Tensor x, Tensor m, Tensor? z, Tensor? diag, Tensor? bias, Tensor c, int activation) -> Tensor");
  m.def("residual_backward(Tensor g, Tensor m, Tensor? z, Tensor? diag, Tensor? bias, Tensor c, int activation) -> "
        "(Tensor, Tensor, Tensor, Tensor, Tensor)");
}
TORCH_LIBRARY_IMPL(assay, Autograd, m) {
  m.impl("residual", differentiable);
  m.impl("residual_backward", without_second);
}
TORCH_LIBRARY_IMPL(assay, Meta, m) {
  m.impl("residual", shape);
  m.impl("residual_backward", gradient_shapes);
}

}  // namespace assay::ops
