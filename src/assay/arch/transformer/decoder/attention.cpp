#include "assay/arch/transformer/decoder/attention.h"

#include "assay/arch/transformer/decoder/component.h"
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

Tensor Attention::operator()(const Tensor& z_BTC, layers::Rotary* rotary) const {
  const int64_t B = z_BTC.size(0), T = z_BTC.size(1), C = z_BTC.size(2), D = C / heads_;
  const Tensor qkv = tensor::linear(z_BTC, qkv_.weight, qkv_.bias, precision_);
  if (!q_gain_D_.defined() && rotary == nullptr && kv_heads_ == heads_)
    return tensor::linear(layers::packed_causal_attention(qkv, heads_, precision_), out_.weight, out_.bias, precision_);
  const auto heads = [&](int64_t first, int64_t count) {
    return qkv.narrow(-1, first * D, count * D).view({B, T, count, D}).transpose(1, 2);  // [B, count, T, D]
  };
  Tensor q = heads(0, heads_), k = heads(heads_, kv_heads_), v = heads(heads_ + kv_heads_, kv_heads_);
  if (q_gain_D_.defined() || rotary != nullptr) {
    q = q.to(qkv_.weight.scalar_type());
    k = k.to(qkv_.weight.scalar_type());
  }
  if (q_gain_D_.defined()) {
    q = layers::rms_norm(q, kNormEps) * q_gain_D_;
    k = layers::rms_norm(k, kNormEps) * k_gain_D_;
  }
  if (rotary != nullptr) {
    q = (*rotary)(q);
    k = (*rotary)(k);
  }
  if (kv_heads_ < heads_) {
    k = k.repeat_interleave(heads_ / kv_heads_, 1);
    v = v.repeat_interleave(heads_ / kv_heads_, 1);
  }
  const Tensor o = layers::causal_attention(q.to(qkv.scalar_type()), k.to(qkv.scalar_type()), v, std::nullopt, precision_);
  return tensor::linear(layers::joined_heads(o), out_.weight, out_.bias, precision_);
}

double Attention::macs(const AttentionConfig& c, double width, double heads, double T) {
  const double kv = c.n_kv_head > 0 ? static_cast<double>(c.n_kv_head) / heads : 1;
  return width * width * (2 + 2 * kv) + T * width;
}

namespace {
constexpr Control grouped_controls[] = {{"n_kv_head=0", "what the keys and values that it leaves out are worth"},
                                        {"mlp_hidden=416", "as many weights with all heads: a narrower MLP, at C = 128 and K = 1"}};
constexpr Control qk_controls[] = {
    {"qk_norm=false", "whether large scores were the trouble: compare the norms of q and k, and a lower rate"}};
}  // namespace
extern const Component component_grouped_query, component_qk_norm;
constinit const Component component_grouped_query{
    .name = "grouped_query",
    .summary = "fewer heads of keys and values than of queries",
    .place = "the attention of every block",
    .on = "n_kv_head=1",
    .options = "n_kv_head",
    .equations = "y = W_o concat_h softmax(q_h k_g^T / sqrt(d)) v_g + b_o,  g = floor(h K / H)",
    .cost = "C^2 (2 + 2 K / H) multiply-adds a token and block in place of 4 C^2; scores and values as before",
    .source = "Ainslie et al. 2023",
    .claim = "quality near that of all heads at the memory of few",
    .trust = "a saving of generation's memory; in training the loss rises a little, and only equal parameters make a fair comparison",
    .controls = grouped_controls,
};
constinit const Component component_qk_norm{
    .name = "qk_norm",
    .summary = "queries and keys are normalised in each head, with a learnt gain",
    .place = "between the projections and the scores of every block, before a rotation",
    .on = "qk_norm=true",
    .options = "qk_norm",
    .equations = "q_h <- RMS(q_h) g_q,  k_g <- RMS(k_g) g_k,  gains [d]",
    .cost = "no products; two gains [d] a block",
    .source = "Dehghani et al. 2023",
    .claim = "large models train at rates at which their scores would otherwise diverge",
    .trust = "a matter of stability: at small rates expect no difference, so sweep the rate for both arms",
    .controls = qk_controls,
};

}  // namespace assay::arch::decoder
