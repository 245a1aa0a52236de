#include "assay/layers/attention.h"

#include <ATen/Context.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_scaled_dot_product_cudnn_attention.h>
#include <ATen/ops/_scaled_dot_product_flash_attention.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_backward.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <torch/csrc/autograd/custom_function.h>

#include <array>
#include <cmath>

#include "assay/ops/causal_attention/causal_attention.h"
#include "assay/tensor/device.h"
#include "assay/tensor/first_order.h"

namespace assay::layers {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// torch chooses the repeatable form of the flash backward pass only where a kernel that does not repeat would be an error.
class StrictlyRepeatable {
 public:
  StrictlyRepeatable() { at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false); }
  ~StrictlyRepeatable() { at::globalContext().setDeterministicAlgorithms(was_, warn_only_); }
  StrictlyRepeatable(const StrictlyRepeatable&) = delete;
  StrictlyRepeatable& operator=(const StrictlyRepeatable&) = delete;

 private:
  bool was_ = at::globalContext().deterministicAlgorithms(), warn_only_ = at::globalContext().deterministicAlgorithmsWarnOnly();
};

// Whether the kernels take q as it is: float32 and float64 on the CPU (ours); on a GPU (torch's flash kernels) half widths, heads of a
// multiple of 8 up to 256.
bool kernel_takes(const Tensor& q) {
  if (q.is_cpu()) return q.scalar_type() == at::kFloat || q.scalar_type() == at::kDouble;
  return q.scalar_type() == at::kBFloat16 && q.size(-1) % 8 == 0 && q.size(-1) <= 256;
}

// The kernels take any strides but for the last axis, and do not look.
Tensor readable(const Tensor& t) { return t.stride(-1) == 1 ? t : t.contiguous(); }

// Output [B, H, T, d] and, on a GPU, what the backward pass wants beside it and q, k, v.
struct Flash {
  Tensor out, lse, seed, offset;
};

double scale_of(const Tensor& q, std::optional<double> scale) { return scale ? *scale : 1 / std::sqrt(static_cast<double>(q.size(-1))); }

// Whether the forward pass is cuDNN's: on an H100 it takes 0.65 of the flash kernel's time at 16 x 12 heads of 1024 x 64. Its log-sums are the same
// ones, which the flash kernels' backward pass reads; its own adds atomically, so that gradients do not repeat.
bool by_cudnn(const Tensor& q) { return tensor::capability(q.device()) >= 90 && q.size(-1) <= 128; }

Flash flash_forward(const Tensor& q, const Tensor& k, const Tensor& v, std::optional<double> scale) {
  if (q.is_cpu()) {
    const Tensor out = at::empty({q.size(0), q.size(2), q.size(1), q.size(3)}, q.options()).transpose(1, 2);  // heads lie side by side
    ops::causal_attention_forward(out, q, k, v, scale_of(q, scale));
    return {out, {}, {}, {}};
  }
  if (by_cudnn(q)) {
    auto [out, lse, sequences_q, sequences_k, longest_q, longest_k, seed, offset, mask] =
        at::_scaled_dot_product_cudnn_attention(q, k, v, {}, /*compute_log_sumexp=*/true, 0.0, true, false, scale);
    return {out, lse.view({q.size(0), q.size(1), q.size(2)}), seed, offset};
  }
  auto [out, lse, sequences_q, sequences_k, longest_q, longest_k, seed, offset, mask] =
      at::_scaled_dot_product_flash_attention(q, k, v, 0.0, true, false, scale);
  return {out, lse, seed, offset};
}

std::array<Tensor, 3> flash_backward(const Tensor& g, const Tensor& q, const Tensor& k, const Tensor& v, const Flash& f,
                                     std::optional<double> scale) {
  if (q.is_cpu()) {
    const auto made = [](const Tensor& t) { return at::empty(t.sizes(), t.options()); };
    const ops::AttentionGrads to{made(q), made(k), made(v)};
    ops::causal_attention_backward(to, g, q, k, v, scale_of(q, scale));
    return {to.q, to.k, to.v};
  }
  const StrictlyRepeatable strictly;
  const int64_t T = q.size(2);
  auto [dq, dk, dv] =
      at::_scaled_dot_product_flash_attention_backward(g, q, k, v, f.out, f.lse, {}, {}, T, T, 0.0, true, f.seed, f.offset, scale);
  return {dq, dk, dv};
}

std::optional<double> saved_scale(const c10::IValue& v) { return v.isNone() ? std::nullopt : std::optional(v.toDouble()); }

struct Separate : torch::autograd::Function<Separate> {
  static Tensor forward(AutogradContext* ctx, const Tensor& q, const Tensor& k, const Tensor& v, std::optional<double> scale) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const Flash f = flash_forward(q, k, v, scale);
    ctx->save_for_backward({q, k, v, q.is_cpu() ? Tensor() : f.out, f.lse, f.seed, f.offset});
    ctx->saved_data["scale"] = scale;
    return f.out;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& g) {
    const variable_list s = ctx->get_saved_variables();
    const tensor::FirstOrderOnly once("causal_attention", g, s);
    const auto [dq, dk, dv] =
        flash_backward(readable(g[0]), s[0], s[1], s[2], {s[3], s[4], s[5], s[6]}, saved_scale(ctx->saved_data["scale"]));
    return {dq, dk, dv, Tensor()};
  }
};

// Queries, keys, values [B, H, T, d] of qkv [B, T, 3 H d]: views.
std::array<Tensor, 3> split(const Tensor& qkv_BTC, int64_t heads) {
  const int64_t B = qkv_BTC.size(0), T = qkv_BTC.size(1), C = qkv_BTC.size(2) / 3;
  const auto part = [&](int64_t i) { return qkv_BTC.narrow(-1, i * C, C).view({B, T, heads, C / heads}).transpose(1, 2); };
  return {part(0), part(1), part(2)};
}

struct Packed : torch::autograd::Function<Packed> {
  static Tensor forward(AutogradContext* ctx, const Tensor& qkv_BTC, int64_t heads) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto [q, k, v] = split(qkv_BTC, heads);
    const Flash f = flash_forward(q, k, v, std::nullopt);
    ctx->save_for_backward({qkv_BTC, q.is_cpu() ? Tensor() : f.out, f.lse, f.seed, f.offset});
    ctx->saved_data["heads"] = heads;
    return joined_heads(f.out);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& g) {
    const variable_list s = ctx->get_saved_variables();
    const tensor::FirstOrderOnly once("causal_attention", g, s);
    const int64_t heads = ctx->saved_data["heads"].toInt();
    const auto [q, k, v] = split(s[0], heads);
    const Tensor up = g[0].contiguous().view({q.size(0), q.size(2), heads, q.size(3)}).transpose(1, 2);
    if (q.is_cpu()) {
      const Tensor dqkv = at::empty_like(s[0]);
      const auto [dq, dk, dv] = split(dqkv, heads);
      ops::causal_attention_backward({dq, dk, dv}, up, q, k, v, scale_of(q, std::nullopt));
      return {dqkv, Tensor()};
    }
    const auto [dq, dk, dv] = flash_backward(up, q, k, v, {s[1], s[2], s[3], s[4]}, std::nullopt);
    return {at::cat({joined_heads(dq), joined_heads(dk), joined_heads(dv)}, -1), Tensor()};
  }
};

}  // namespace

Tensor causal_attention(const Tensor& q, const Tensor& k, const Tensor& v, std::optional<double> scale, tensor::Precision precision) {
  const auto rounded = [&](const Tensor& t) { return precision == tensor::Precision::bf16 && t.is_cuda() ? t.to(at::kBFloat16) : t; };
  const Tensor q_in = rounded(q), k_in = rounded(k), v_in = rounded(v);
  const Tensor y = kernel_takes(q_in) ? Separate::apply(readable(q_in), readable(k_in), readable(v_in), scale)
                                      : at::scaled_dot_product_attention(q_in, k_in, v_in, std::nullopt, 0.0, true, scale);
  return y.to(q.scalar_type());
}

Tensor packed_causal_attention(const Tensor& qkv_BTC, int64_t heads, tensor::Precision precision) {
  const auto [q, k, v] = split(qkv_BTC, heads);
  if (kernel_takes(q)) return Packed::apply(qkv_BTC.contiguous(), heads);
  return joined_heads(causal_attention(q, k, v, std::nullopt, precision));
}

Tensor joined_heads(const Tensor& y_BHTd) {
  return y_BHTd.transpose(1, 2).reshape({y_BHTd.size(0), y_BHTd.size(2), y_BHTd.size(1) * y_BHTd.size(3)});
}

}  // namespace assay::layers
