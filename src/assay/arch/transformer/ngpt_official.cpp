// nGPT as its paper and vendor code define it: unit states, unit branch outputs, steps along the sphere, weights normalised after every update.
// Source: Loshchilov et al. 2024; NVIDIA's published model.
#include <ATen/ops/silu.h>

#include <cmath>

#include "assay/arch/architecture.h"
#include "assay/arch/transformer/sphere.h"
#include "assay/core/error.h"
#include "assay/layers/attention.h"
#include "assay/layers/embedding.h"
#include "assay/layers/rotary.h"
#include "assay/ops/loss_head/loss_head.h"

namespace assay::arch::transformer {
namespace {

using tensor::constant;
using tensor::normal;

constexpr double kAlpha = 0.05;  // effective initial step

struct Config {
  int64_t vocab_size = 0, n_layer = 4, n_head = 4, n_embd = 128;
  std::string rope = "standard";
  double rope_base = 10000;

  static const core::Schema& schema() {
    using core::option;
    static const core::Schema s = core::declare<Config>(
        "model", {
                     option("vocab_size", &Config::vocab_size, "vocabulary; 0 = the data's", 0, 65536).env("VOCAB_SIZE"),
                     option("n_layer", &Config::n_layer, "blocks L", 1, 1024).env("NUM_LAYERS"),
                     option("n_head", &Config::n_head, "attention heads H; divides n_embd into even parts", 1, 1024).env("NUM_HEADS"),
                     option("n_embd", &Config::n_embd, "width C", 1, 65536).env("MODEL_DIM"),
                     option("rope", &Config::rope, "rotary positions; vendor: the published helper, which is no rotation")
                         .one_of({"standard", "vendor"}),
                     option("rope_base", &Config::rope_base, "base of the rotary angles", 1, 1e12),
                 });
    return s;
  }
};

struct Block {
  Tensor q, k, v, out, fc, proj;  // weights [out, in]
  Tensor alpha_attn_C, alpha_mlp_C, s_qk_C, s_uv_8C;
};

class NgptOfficial final : public Model {
 public:
  NgptOfficial(const Config& c, const Dims& dims, tensor::Params& p, tensor::Precision precision)
      : config_(c),
        vocab_(c.vocab_size > 0 ? c.vocab_size : dims.vocab_size),
        precision_(precision),
        rotary_(c.n_embd / c.n_head, c.rope_base, c.rope == "vendor") {
    check(dims);
    const int64_t C = c.n_embd;
    const double root = std::sqrt(static_cast<double>(C)), sd = 1 / root, sd_out = sd / std::sqrt(2.0 * static_cast<double>(c.n_layer));
    E_VC_ = p.add("token_embedding.weight", {vocab_, C}, normal(sd));
    for (int64_t l = 0; l < c.n_layer; ++l) {
      const std::string block = "blocks." + std::to_string(l) + ".";
      blocks_.push_back({p.add(block + "attn.q.weight", {C, C}, normal(sd)), p.add(block + "attn.k.weight", {C, C}, normal(sd)),
                         p.add(block + "attn.v.weight", {C, C}, normal(sd)), p.add(block + "attn.out.weight", {C, C}, normal(sd_out)),
                         p.add(block + "mlp.fc.weight", {8 * C, C}, normal(sd)),
                         p.add(block + "mlp.proj.weight", {C, 4 * C}, normal(sd_out)), p.add(block + "alpha_attn", {C}, constant(sd)),
                         p.add(block + "alpha_mlp", {C}, constant(sd)), p.add(block + "s_qk", {C}, constant(sd)),
                         p.add(block + "s_uv", {8 * C}, constant(1))});
    }
    U_VC_ = p.add("lm_head.weight", {vocab_, C}, normal(sd));
    s_z_V_ = p.add("s_z", {vocab_}, constant(sd));
    normalise();
  }

  // N(x) = x / |x|;  h = E[u];  L times:  h = N(h + |a_A| (N(W_o Attn(q, k, v)) - h)),  q = s_qk N(rope(W_q h)), k alike, scores sqrt(d) q.k;
  // h = N(h + |a_M| (N(W_p (u silu(v))) - h)),  (u, v) = s_uv sqrt(C) W_f h;  logits = s_z (U h). A scale with initial value 1 (0.05 for
  // a) is stored as 1/sqrt(C); s_uv as it is.
  using Model::forward;
  Tensor forward(const Tensor& input, const Observer* observe) override {
    Tensor h_BTC = layers::embed(E_VC_, input);
    if (observe != nullptr) (*observe)("embed", h_BTC);
    const double root = std::sqrt(static_cast<double>(config_.n_embd));
    for (size_t l = 0; l < blocks_.size(); ++l) {
      const Block& b = blocks_[l];
      const std::string block = "blocks." + std::to_string(l);
      // Rows of E are unit, but their gradient is not to see a change of length: the step starts from N(h), as in the vendor's code.
      const Tensor from_BTC = l == 0 ? unit(h_BTC) : h_BTC;
      h_BTC = unit(from_BTC + (b.alpha_attn_C * (kAlpha * root)).abs() * (unit(attention(b, h_BTC)) - from_BTC));
      if (observe != nullptr) (*observe)(block + ".attn", h_BTC);
      const std::vector<Tensor> uv = (apply(b.fc, h_BTC) * (b.s_uv_8C * root)).chunk(2, -1);
      h_BTC = unit(h_BTC + (b.alpha_mlp_C * (kAlpha * root)).abs() * (unit(apply(b.proj, uv[0] * at::silu(uv[1]))) - h_BTC));
      if (observe != nullptr) (*observe)(block, h_BTC);
    }
    if (observe != nullptr) (*observe)("final", h_BTC);
    return head(h_BTC);
  }

  // The gradient takes the place of the logits.
  Tensor training_loss(const Tensor& ids_BT, const Tensor& targets_BT) override {
    return ops::loss_head(forward(ids_BT), {}, targets_BT, {.overwrite = true});
  }

  Tensor read_out(std::string_view, const Tensor& state) override { return head(state); }
  int64_t vocab_size() const override { return vocab_; }
  int64_t update_kind(const Update&) const override { return 0; }
  void after_update(const Update& u) override { normalise(u.applied.defined() ? u.applied != 0 : u.applied); }

 private:
  void check(const Dims& dims) const {
    const auto bad = [](const std::string& what) { throw core::ConfigError("ngpt_official", what); };
    if (vocab_ < 2) bad("vocab_size must be at least 2, got " + std::to_string(vocab_));
    if (dims.vocab_size > vocab_)
      bad("vocab_size=" + std::to_string(vocab_) + " is smaller than the data's vocabulary of " + std::to_string(dims.vocab_size));
    if (config_.n_embd % (2 * config_.n_head) != 0)
      bad("n_head=" + std::to_string(config_.n_head) + " does not divide n_embd=" + std::to_string(config_.n_embd) +
          " into heads of even size, which rotary positions turn in pairs");
  }

  Tensor attention(const Block& b, const Tensor& h_BTC) {
    const int64_t B = h_BTC.size(0), T = h_BTC.size(1), H = config_.n_head, d = config_.n_embd / H;
    const auto heads = [&](const Tensor& W) { return apply(W, h_BTC).view({B, T, H, d}).transpose(1, 2); };
    const Tensor s_H1d = (b.s_qk_C * std::sqrt(static_cast<double>(config_.n_embd))).view({H, 1, d});
    const Tensor q = unit(rotary_(heads(b.q))) * s_H1d, k = unit(rotary_(heads(b.k))) * s_H1d;
    const Tensor y = layers::causal_attention(q, k, heads(b.v), std::sqrt(static_cast<double>(d)), precision_);
    return apply(b.out, layers::joined_heads(y));
  }

  Tensor head(const Tensor& h_BTC) const {  // s_z scales rows of U, which are fewer numbers than the logits
    return tensor::linear(h_BTC, U_VC_ * (s_z_V_ * std::sqrt(static_cast<double>(config_.n_embd))).unsqueeze(1), {}, precision_);
  }

  Tensor apply(const Tensor& W, const Tensor& x) const { return tensor::linear(x, W, {}, precision_); }

  // Along the embedding axis, where `now` says so (undefined: it does).
  void normalise(const Tensor& now = {}) {
    for (const Tensor& W : {E_VC_, U_VC_}) to_radius_(W, -1, 1, 0, now);
    for (const Block& b : blocks_) {
      for (const Tensor& W : {b.q, b.k, b.v, b.fc}) to_radius_(W, -1, 1, 0, now);
      for (const Tensor& W : {b.out, b.proj}) to_radius_(W, 0, 1, 0, now);
    }
  }

  Config config_;
  int64_t vocab_;
  tensor::Precision precision_;
  layers::Rotary rotary_;
  Tensor E_VC_, U_VC_, s_z_V_;
  std::vector<Block> blocks_;
};

std::unique_ptr<Model> make(const core::Value& config, const Dims& dims, tensor::Params& params, tensor::Precision precision) {
  return std::make_unique<NgptOfficial>(configure<Config>(config), dims, params, precision);
}

// MACs a token: 16 C^2 a block, T C causal attention, V C for the head.
Cost cost(const core::Value& config, const Dims& dims) {
  const auto c = configure<Config>(config);
  const double C = static_cast<double>(c.n_embd), L = static_cast<double>(c.n_layer), T = static_cast<double>(dims.seq_len),
               V = static_cast<double>(c.vocab_size > 0 ? c.vocab_size : dims.vocab_size);
  const double dense = L * 16 * C * C + V * C, attention = L * T * C;
  return {2 * (dense + attention), 2 * (3 * dense + 3.5 * attention), 4 * (L * 34 * C + V)};
}

}  // namespace

ASSAY_ARCHITECTURE(ngpt_official){
    .name = "ngpt_official",
    .aliases = "ngpt_vendor",
    .family = "transformer",
    .mixer = "causal softmax attention of unit queries and keys, rotary positions",
    .transform = "SwiGLU of width 4C, states and branch outputs on the unit sphere",
    .summary = "nGPT as published: learnt steps on the sphere, every matrix normalised after every update",
    .source = "Loshchilov et al. 2024, vendor code",
    .equations = "N(x) = x / |x|;  h_t = E[u_t];  L times:\n"
                 "  q = s_qk N(rope(W_q h)),  k = s_qk N(rope(W_k h)),  scores sqrt(d) q.k\n"
                 "  h = N(h + |alpha_A| (N(W_o Attn(q, k, W_v h)) - h))\n"
                 "  (u, v) = s_uv sqrt(C) W_f h;  h = N(h + |alpha_M| (N(W_p (u silu(v))) - h))\n"
                 "logits = s_z (U h)",
    .schema = &Config::schema,
    .new_config = &new_config<Config>,
    .make = &make,
    .cost = &cost,
};

}  // namespace assay::arch::transformer
