#include "assay/ops/decay_attention/decay_attention.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/log_sigmoid.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "assay/tensor/first_order.h"

namespace assay::ops {

Tensor decay_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& decay_logit, bool bf16) {
  static const auto op = c10::Dispatcher::singleton().findSchemaOrThrow("assay::decay_attention", "").typed<decltype(decay_attention)>();
  return op.call(q, k, v, decay_logit, bf16);
}

DecayAttentionGrads decay_attention_backward(const Tensor& grad, const Tensor& q, const Tensor& k, const Tensor& v,
                                             const Tensor& decay_logit, bool bf16) {
  static const auto op =
      c10::Dispatcher::singleton().findSchemaOrThrow("assay::decay_attention_backward", "").typed<decltype(decay_attention_backward)>();
  return op.call(grad, q, k, v, decay_logit, bf16);
}

Tensor decay_attention_reference(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& decay_logit) {
  const Tensor position = at::arange(q.size(2), q.options().requires_grad(false));
  const Tensor distance = position.unsqueeze(1) - position.unsqueeze(0) - 1;  // t - s - 1
  const Tensor log_lambda = at::log_sigmoid(decay_logit).view({-1, 1, 1});
  const Tensor w = (distance.clamp_min(0) * log_lambda).exp() * (distance >= 0);
  return (q.matmul(k.transpose(-1, -2)) * w).matmul(v);
}

void check_decay_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& decay_logit) {
  TORCH_CHECK(q.dim() == 4 && k.sizes() == q.sizes(), "[decay_attention] q and k must be [B, H, T, c] alike, got ", q.sizes(), " and ",
              k.sizes());
  TORCH_CHECK(v.dim() == 4 && v.size(0) == q.size(0) && v.size(1) == q.size(1) && v.size(2) == q.size(2),
              "[decay_attention] v must be [B, H, T, d] with q's B, H, T, got ", v.sizes(), " beside ", q.sizes());
  TORCH_CHECK(decay_logit.dim() == 1 && decay_logit.size(0) == q.size(1), "[decay_attention] decay_logit must be [H] = [", q.size(1),
              "], got ", decay_logit.sizes());
  const bool bf16 = q.scalar_type() == at::kBFloat16;
  TORCH_CHECK(q.scalar_type() == at::kFloat || q.scalar_type() == at::kDouble || bf16,
              "[decay_attention] wants float32, float64 or bfloat16, got ", q.scalar_type());
  TORCH_CHECK(decay_logit.scalar_type() == (bf16 ? at::kFloat : q.scalar_type()), "[decay_attention] dtypes differ: decay_logit is ",
              decay_logit.scalar_type(), " beside ", q.scalar_type());
  for (const Tensor& t : {k, v}) {
    TORCH_CHECK(t.scalar_type() == q.scalar_type(), "[decay_attention] dtypes differ: ", t.scalar_type(), " beside ", q.scalar_type());
  }
  for (const Tensor& t : {k, v, decay_logit}) {
    TORCH_CHECK(t.device() == q.device(), "[decay_attention] devices differ: ", t.device(), " beside ", q.device());
  }
}

namespace {
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct DecayAttention : torch::autograd::Function<DecayAttention> {
  static Tensor forward(AutogradContext* ctx, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& decay_logit, bool bf16) {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    ctx->save_for_backward({q, k, v, decay_logit});
    ctx->saved_data["bf16"] = bf16;
    return decay_attention(q, k, v, decay_logit, bf16);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& g) {
    const variable_list s = ctx->get_saved_variables();
    auto [dq, dk, dv, dlogit] = decay_attention_backward(g[0], s[0], s[1], s[2], s[3], ctx->saved_data["bf16"].toBool());
    return {dq, dk, dv, dlogit, Tensor()};
  }
};

Tensor with_gradient(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& decay_logit, bool bf16) {
  return DecayAttention::apply(q, k, v, decay_logit, bf16);
}

DecayAttentionGrads without_second(const Tensor& grad, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& decay_logit,
                                   bool bf16) {
  const tensor::FirstOrderOnly once("decay_attention", {grad, q, k, v, decay_logit});
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  return decay_attention_backward(grad, q, k, v, decay_logit, bf16);
}

Tensor result_shape(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& decay_logit, bool) {
  check_decay_attention(q, k, v, decay_logit);
  return at::empty_like(v, v.options(), at::MemoryFormat::Contiguous);
}

DecayAttentionGrads gradient_shapes(const Tensor&, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& decay_logit, bool) {
  const auto like = [](const Tensor& t) { return at::empty_like(t, t.options(), at::MemoryFormat::Contiguous); };
  return {like(q), like(k), like(v), like(decay_logit)};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(assay, m) {
  m.def("decay_attention(Tensor q, Tensor k, Tensor v, Tensor decay_logit, bool bf16=False) -> Tensor");
  m.def("decay_attention_backward(Tensor grad, Tensor q, Tensor k, Tensor v, Tensor decay_logit, bool bf16) -> "
        "(Tensor, Tensor, Tensor, Tensor)");
}
TORCH_LIBRARY_IMPL(assay, Autograd, m) {
  m.impl("decay_attention", with_gradient);
  m.impl("decay_attention_backward", without_second);
}
TORCH_LIBRARY_IMPL(assay, Meta, m) {
  m.impl("decay_attention", result_shape);
  m.impl("decay_attention_backward", gradient_shapes);
}

}  // namespace assay::ops
