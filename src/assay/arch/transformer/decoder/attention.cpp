#include "assay/arch/transformer/decoder/attention.h"

#include "assay/layers/attention.h"
#include "assay/layers/rms_norm.h"

namespace assay::arch::decoder {
namespace {

constexpr double kNormEps = 1e-6;

int64_t kv_heads_of(const AttentionConfig& c, int64_t heads) { return c.n_kv_head > 0 ? c.n_kv_head : heads; }

}  // namespace

const core::Schema& AttentionConfig::schema() {
  using core::option;
  static const core::Schema s = core::declare<AttentionConfig>(
      "model", {
                   option("n_kv_head", &AttentionConfig::n_kv_head, "heads of keys and values; divides n_head; 0 = n_head", 0, 1024),
                   option("qk_norm", &AttentionConfig::qk_norm, "queries and keys are normalised in each head, with a learnt gain"),
               });
  return s;
}

Attention::Attention(const AttentionConfig& c, int64_t width, int64_t heads, const Builder& b, const std::string& name, double out_scale)
    : heads_(heads), kv_heads_(kv_heads_of(c, heads)), precision_(b.precision) {
  if (width % heads != 0) refuse("n_head=" + std::to_string(heads) + " does not divide n_embd=" + std::to_string(width));
  if (heads % kv_heads_ != 0) refuse("n_kv_head=" + std::to_string(kv_heads_) + " does not divide n_head=" + std::to_string(heads));
  const int64_t d = width / heads;
  qkv_ = b.linear(name + ".qkv", width + 2 * kv_heads_ * d, width);
  if (c.qk_norm) {
    q_gain_D_ = b.params.add(name + ".q_norm.weight", {d}, tensor::constant(1));
    k_gain_D_ = b.params.add(name + ".k_norm.weight", {d}, tensor::constant(1));
  }
  out_ = b.linear(name + ".out", width, width, out_scale);
}

Tensor Attention::operator()(const Tensor& z_BTC, const Rotation& rotation) const {
  const int64_t B = z_BTC.size(0), T = z_BTC.size(1), C = z_BTC.size(2), D = C / heads_;
  const Tensor qkv = tensor::linear(z_BTC, qkv_.weight, qkv_.bias, precision_);
  if (!q_gain_D_.defined() && !rotation.defined() && kv_heads_ == heads_)
    return tensor::linear(layers::packed_causal_attention(qkv, heads_, precision_), out_.weight, out_.bias, precision_);
  const auto heads = [&](int64_t first, int64_t count) {
    return qkv.narrow(-1, first * D, count * D).view({B, T, count, D}).transpose(1, 2);  // [B, count, T, D]
  };
  Tensor q = heads(0, heads_), k = heads(heads_, kv_heads_), v = heads(heads_ + kv_heads_, kv_heads_);
  if (q_gain_D_.defined()) {
    q = layers::rms_norm(q, kNormEps) * q_gain_D_;
    k = layers::rms_norm(k, kNormEps) * k_gain_D_;
  }
  if (rotation.defined()) {
    q = rotation(q);
    k = rotation(k);
  }
  if (kv_heads_ < heads_) {
    k = k.repeat_interleave(heads_ / kv_heads_, 1);
    v = v.repeat_interleave(heads_ / kv_heads_, 1);
  }
  const Tensor o = layers::causal_attention(q, k, v, std::nullopt, precision_).to(qkv.scalar_type());
  return tensor::linear(layers::joined_heads(o), out_.weight, out_.bias, precision_);
}

double Attention::macs(const AttentionConfig& c, double width, double heads, double T) {
  const double kv = c.n_kv_head > 0 ? static_cast<double>(c.n_kv_head) / heads : 1;
  return width * width * (2 + 2 * kv) + T * width;
}

}  // namespace assay::arch::decoder
