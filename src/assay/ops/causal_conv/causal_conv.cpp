#include "assay/ops/causal_conv/causal_conv.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "assay/ops/causal_conv/causal_conv_op.h"
#include "assay/tensor/first_order.h"

namespace assay::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

const auto& forward_op() {
  static const auto op = c10::Dispatcher::singleton().findSchemaOrThrow("assay::causal_conv", "").typed<CausalConvForward>();
  return op;
}
const auto& backward_op() {
  static const auto op = c10::Dispatcher::singleton().findSchemaOrThrow("assay::causal_conv_backward", "").typed<CausalConvBackward>();
  return op;
}

struct CausalConv : torch::autograd::Function<CausalConv> {
  static Tensor forward(AutogradContext* ctx, const Tensor& z, const Tensor& weight, const Tensor& bias) {
    const at::AutoDispatchBelowADInplaceOrView below;
    ctx->save_for_backward({z, weight});
    return forward_op().call(z, weight, bias);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& g) {
    const variable_list s = ctx->get_saved_variables();
    const tensor::FirstOrderOnly once("causal_conv", g, s);
    auto [dz, dweight, dbias] = backward_op().call(g[0], s[0], s[1]);
    return {dz, dweight, dbias};
  }
};

Tensor differentiable(const Tensor& z, const Tensor& weight, const Tensor& bias) {
  check_causal_conv(z, weight, bias);
  return CausalConv::apply(z, weight, bias);
}

CausalConvGrads without_second(const Tensor& g, const Tensor& z, const Tensor& weight) {
  const tensor::FirstOrderOnly once("causal_conv", {g, z, weight});
  const at::AutoDispatchBelowADInplaceOrView below;
  return backward_op().call(g, z, weight);
}

Tensor dense(const Tensor& t) { return at::empty_like(t, t.options(), at::MemoryFormat::Contiguous); }

Tensor shape(const Tensor& z, const Tensor& weight, const Tensor& bias) {
  check_causal_conv(z, weight, bias);
  return dense(z);
}
CausalConvGrads gradient_shapes(const Tensor&, const Tensor& z, const Tensor& weight) {
  return {dense(z), dense(weight), at::empty({weight.size(0)}, weight.options())};
}

}  // namespace

Tensor causal_conv(const Tensor& z_BTV, const Tensor& weight, const Tensor& bias_V) { return forward_op().call(z_BTV, weight, bias_V); }

Tensor causal_conv_reference(const Tensor& z_BTV, const Tensor& weight, const Tensor& bias_V) {
  const int64_t T = z_BTV.size(1), kernel = weight.size(2);
  const Tensor padded = at::constant_pad_nd(z_BTV, {0, 0, kernel - 1, 0});
  Tensor y = bias_V.expand_as(z_BTV);
  for (int64_t j = 0; j < kernel; ++j) y = y + weight.select(2, j).squeeze(1) * padded.narrow(1, j, T);
  return y;
}

void check_causal_conv(const Tensor& z, const Tensor& weight, const Tensor& bias) {
  const at::ScalarType type = z.scalar_type();
  TORCH_CHECK(z.dim() == 3 && (type == at::kFloat || type == at::kDouble || type == at::kBFloat16),
              "[causal_conv] z must be [B, T, V] float32, float64 or bfloat16, got ", type, " ", z.sizes());
  const at::ScalarType wanted = type == at::kBFloat16 ? at::kFloat : type;
  TORCH_CHECK(weight.dim() == 3 && weight.size(0) == z.size(2) && weight.size(1) == 1 && weight.size(2) > 0 &&
                  weight.scalar_type() == wanted && weight.device() == z.device(),
              "[causal_conv] weight must be ", wanted, " [", z.size(2), ", 1, kernel] on ", z.device(), ", got ", weight.scalar_type(), " ",
              weight.sizes(), " on ", weight.device());
  TORCH_CHECK(bias.dim() == 1 && bias.size(0) == z.size(2) && bias.scalar_type() == wanted && bias.device() == z.device(),
              "[causal_conv] bias must be ", wanted, " [", z.size(2), "] on ", z.device(), ", got ", bias.scalar_type(), " ", bias.sizes());
}

TORCH_LIBRARY_FRAGMENT(assay, m) {
  m.def("causal_conv(Tensor z, Tensor weight, Tensor bias) -> Tensor");
  m.def("causal_conv_backward(Tensor g, Tensor z, Tensor weight) -> (Tensor, Tensor, Tensor)");
}
TORCH_LIBRARY_IMPL(assay, Autograd, m) {
  m.impl("causal_conv", differentiable);
  m.impl("causal_conv_backward", without_second);
}
TORCH_LIBRARY_IMPL(assay, Meta, m) {
  m.impl("causal_conv", shape);
  m.impl("causal_conv_backward", gradient_shapes);
}

}  // namespace assay::ops
