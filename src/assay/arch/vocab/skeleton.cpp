#include "assay/arch/vocab/skeleton.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/flip.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "assay/core/error.h"
#include "assay/layers/embedding.h"
#include "assay/layers/leaky_sum.h"
#include "assay/layers/rms_norm.h"
#include "assay/ops/causal_conv/causal_conv.h"
#include "assay/ops/decay_attention/decay_attention.h"
#include "assay/ops/loss_head/loss_head.h"
#include "assay/ops/normalize/normalize.h"
#include "assay/ops/propagation/propagation.h"
#include "assay/ops/residual/residual.h"

namespace assay::arch::vocab {
namespace {

// Tensor cores take multiples of so many columns in bfloat16; other widths go through kernels several times slower.
constexpr int64_t kColumnsOfTensorCores = 8;

Tensor rounded_to_bf16(const Tensor& t) { return t.to(at::kBFloat16).to(t.scalar_type()); }

}  // namespace

void Skeleton::finish(tensor::Params& params) {
  logit_scale_ = params.add("logit_scale", {}, tensor::constant(1));
  one_ = at::ones({1}, at::TensorOptions().dtype(dtype_).device(device_));
  if (!common_.emulate_bf16_init) return;
  for (const auto& e : params.entries()) Tensor(e.value).copy_(rounded_to_bf16(e.value));
}

Tensor Skeleton::rho(const Tensor& z) const { return layers::rms_norm(z, common_.rms_eps); }

Tensor Skeleton::embed(const Tensor& input) const {
  if (!input.is_floating_point() || input.size(-1) == V_) return layers::one_hot(input, V_, dtype_);
  return at::constant_pad_nd(input, {0, V_ - input.size(-1)});  // the data's vocabulary is smaller than the model's
}

Tensor Skeleton::forward(const Tensor& input, const Observer* observe) {
  const Observer nobody = [](std::string_view, const Tensor&) {};
  const Observer& seen = observe != nullptr ? *observe : nobody;
  const Tensor embedded = rho(embed(input));
  seen("embed", embedded);
  const Tensor x = steps(embedded, seen);
  const Tensor final_state = rho(x);
  seen("final", final_state);
  return head(final_state);
}

Tensor Skeleton::training_loss(const Tensor& ids_BT, const Tensor& targets_BT) {
  const Tensor x = steps(rho(embed(ids_BT)), [](std::string_view, const Tensor&) {});
  const Tensor loss = loss_of_state(x, targets_BT), extra = extra_loss(targets_BT);
  return extra.defined() ? loss + extra.mean() : loss;
}

Tensor Skeleton::loss_of_state(const Tensor& x_BTV, const Tensor& targets_BT) const {
  return ops::loss_head(x_BTV, logit_scale_, targets_BT, {.norm_eps = common_.rms_eps, .softcap = common_.logit_softcap});
}

Tensor Skeleton::normalised_operand(const Tensor& x_BTV) const { return ops::normalize(x_BTV, {}, common_.rms_eps, narrow(x_BTV)).z; }

Tensor Skeleton::step_of(const Tensor& x_BTV, bool bf16_operand, const Tensor& gain, const Sublayer& f) const {
  const auto [z_BTV, unscaled, x] = ops::normalize(x_BTV, {}, common_.rms_eps, bf16_operand);
  return ops::residual(x, {.m = f(z_BTV)}, gain);
}
Tensor Skeleton::half_step(const Tensor& x_BTV, const Tensor& gain, const Sublayer& f) const { return step_of(x_BTV, false, gain, f); }
Tensor Skeleton::narrow_step(const Tensor& x_BTV, const Tensor& gain, const Sublayer& f) const {
  return step_of(x_BTV, narrow(x_BTV), gain, f);
}
Tensor Skeleton::narrow_step(const Tensor& x_BTV, const Sublayer& f) const { return narrow_step(x_BTV, one_, f); }

Tensor Skeleton::next(const Tensor& ids_B, Memory& memory) {
  if (!recurrent())
    throw core::ConfigError(
        "model",
        "with these compatibility switches a state depends on later tokens or on the final length: there is no going on token by token");
  const at::NoGradGuard no_grad;
  memory_ = &memory;
  slot_ = 0;
  Tensor logits;
  try {
    logits = forward(ids_B.unsqueeze(1), nullptr).squeeze(1);
  } catch (...) {
    memory_ = nullptr;
    throw;
  }
  memory_ = nullptr;
  ++memory.position;
  return logits;
}

Tensor* Skeleton::slot() {
  if (memory_ == nullptr) return nullptr;
  if (memory_->slots.size() == slot_) memory_->slots.emplace_back();
  return &memory_->slots[slot_++];
}

Tensor Skeleton::head(const Tensor& normalised) const {
  return at::tanh(normalised * (logit_scale_ / common_.logit_softcap)) * common_.logit_softcap;
}

Tensor Skeleton::read_out(std::string_view, const Tensor& state) { return state.size(-1) == V_ ? head(rho(state)) : Tensor(); }

Tensor Skeleton::table(const Tensor& values) const {
  const Tensor t = values.to(device_, dtype_);
  return common_.emulate_bf16_init ? rounded_to_bf16(t) : t;
}

Tensor Skeleton::linear(const Tensor& x, const Tensor& weight, const Tensor& bias) const {
  return tensor::linear(x, weight, bias, precision_);
}

std::vector<Tensor> Skeleton::linears(const Tensor& x, const std::vector<Tensor>& weights) const {
  if (memory_ != nullptr) {  // a token at a time copies of the matrices would cost more than they save
    std::vector<Tensor> products;
    for (const Tensor& w : weights) products.push_back(linear(x, w));
    return products;
  }
  std::vector<int64_t> widths;
  int64_t total = 0;
  for (const Tensor& w : weights) {
    widths.push_back(w.size(0));
    total += w.size(0);
  }
  std::vector<Tensor> rows = weights;
  if (narrow(weights[0]) && total % kColumnsOfTensorCores != 0) {
    widths.push_back(kColumnsOfTensorCores - total % kColumnsOfTensorCores);
    rows.push_back(at::zeros({widths.back(), x.size(-1)}, weights[0].options().requires_grad(false)));
  }
  return linear(x, at::cat(rows, 0)).split_with_sizes(widths, -1);
}

Tensor Skeleton::times(const Tensor& x, const Tensor& matrix) const { return tensor::linear(x, matrix.t(), {}, precision_); }

Tensor Skeleton::in_time(const Tensor& t, int64_t time_axis) const { return scores_.reversed_mask ? at::flip(t, {time_axis}) : t; }

Tensor Skeleton::attend(const Tensor& q_in, const Tensor& k_in, const Tensor& v_in, const Tensor& decay_logit) {
  if (q_in.dim() == 3) return attend(q_in.unsqueeze(1), k_in.unsqueeze(1), v_in.unsqueeze(1), decay_logit.view({1})).squeeze(1);
  const Tensor q = in_time(scores_.score_scale == 1 ? q_in : q_in * scores_.score_scale, 2), k = in_time(k_in, 2), v = in_time(v_in, 2);
  Tensor* S = slot();
  if (S == nullptr) return in_time(ops::decay_attention(q, k, v, decay_logit, bf16()), 2);
  // o_t = q_t S_t;  S_{t+1} = lambda S_t + k_t^T v_t, in the parameters' dtype
  const auto wide = [&](const Tensor& t) { return t.to(dtype_); };
  if (!S->defined()) *S = at::zeros({k.size(0), k.size(1), k.size(3), v.size(3)}, k.options().dtype(dtype_));
  const Tensor o = wide(q).matmul(*S);
  *S = *S * at::sigmoid(decay_logit).view({1, -1, 1, 1}) + wide(k).transpose(2, 3).matmul(wide(v));
  return o.to(v.scalar_type());
}

Tensor Skeleton::copy_step(const Tensor& x_BTV, const Tensor& gain, const Tensor& scale_V, const Tensor& decay_logit) {
  const bool plain = memory_ == nullptr && !scores_.reversed_mask && scores_.score_scale == 1;
  if (plain && ops::propagates(x_BTV, bf16())) return ops::propagation(x_BTV, scale_V, decay_logit, gain, common_.rms_eps, bf16());
  const auto [z_BTV, scaled_BTV, x] = ops::normalize(x_BTV, scale_V, common_.rms_eps, narrow(x_BTV));
  return ops::residual(x, {.m = attend(scaled_BTV, z_BTV, z_BTV, decay_logit)}, gain);
}

Tensor Skeleton::convolve(const Tensor& z_BTV, const Tensor& weight, const Tensor& bias) {
  Tensor* past = slot();
  if (past == nullptr) return ops::causal_conv(z_BTV, weight, bias);
  const int64_t reach = weight.size(2) - 1;
  if (!past->defined()) *past = at::zeros({z_BTV.size(0), reach, z_BTV.size(2)}, z_BTV.options());
  const Tensor window = at::cat({*past, z_BTV}, 1);
  *past = window.narrow(1, 1, reach);
  return ops::causal_conv(window, weight, bias).narrow(1, reach, 1);
}

Tensor Skeleton::leaky_sum(const Tensor& z_BTV, const Tensor& d_V) {
  Tensor* e = slot();
  if (e == nullptr) return layers::leaky_sum(z_BTV, d_V);
  // e_{t+1} = d (e_t + z_t)
  const Tensor now = e->defined() ? *e : at::zeros_like(z_BTV);
  *e = d_V * (now + z_BTV);
  return now;
}

int64_t vocabulary(int64_t configured, const Dims& dims) {
  const int64_t v = configured > 0 ? configured : dims.vocab_size;
  if (v < 2) throw core::ConfigError("model", "vocab_size must be at least 2, got " + std::to_string(v));
  if (dims.vocab_size > v)
    throw core::ConfigError(
        "model", "vocab_size=" + std::to_string(v) + " is smaller than the data's vocabulary of " + std::to_string(dims.vocab_size));
  return v;
}

Cost cost_of(double dense, double attention, double saved) {
  return {2 * (dense + attention), 2 * (3 * dense + 3.5 * attention), 4 * saved};
}

}  // namespace assay::arch::vocab
