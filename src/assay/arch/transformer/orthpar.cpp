// A pre-norm decoder whose residual scales the parts of a branch along and across the stream separately.
// Source: lof310's notebook and library; `intended` is the equation of its text, `notebook` what its code computes.
#include <ATen/ops/silu.h>

#include "assay/arch/architecture.h"
#include "assay/arch/transformer/orthogonal_update.h"
#include "assay/core/error.h"
#include "assay/layers/attention.h"
#include "assay/layers/embedding.h"
#include "assay/layers/rms_norm.h"
#include "assay/layers/rotary.h"
#include "assay/ops/loss_head/loss_head.h"

namespace assay::arch::transformer {
namespace {

using tensor::constant;
using tensor::normal;

constexpr double kWeightSd = 0.025;

struct Config {
  int64_t vocab_size = 0, n_layer = 4, n_head = 4, n_embd = 128;
  std::string residual = "intended";
  double alpha_init = 0.25, alpha_init_sd = 0.5, beta_init = 0.15, beta_init_sd = 0.25;
  double rms_eps = 1.1920928955078125e-07, rope_base = 10000;

  static const core::Schema& schema() {
    using core::option;
    static const core::Schema s = core::declare<Config>(
        "model", {
                     option("vocab_size", &Config::vocab_size, "vocabulary; 0 = the data's", 0, 65536).env("VOCAB_SIZE"),
                     option("n_layer", &Config::n_layer, "blocks L", 1, 1024).env("NUM_LAYERS"),
                     option("n_head", &Config::n_head, "attention heads H; divides n_embd into even parts", 1, 1024).env("NUM_HEADS"),
                     option("n_embd", &Config::n_embd, "width C", 1, 65536).env("MODEL_DIM"),
                     option("residual", &Config::residual,
                            "what a branch adds: plain, or the two parts by an equation; scaled: alpha times the whole")
                         .one_of({"plain", "scaled", "intended", "notebook", "y-norm"}),
                     option("alpha_init", &Config::alpha_init, "mean of the initial factors across the stream", -100, 100),
                     option("alpha_init_sd", &Config::alpha_init_sd, "their standard deviation", 0, 100),
                     option("beta_init", &Config::beta_init, "mean of the initial factors along the stream", -100, 100),
                     option("beta_init_sd", &Config::beta_init_sd, "their standard deviation", 0, 100),
                     option("rms_eps", &Config::rms_eps, "epsilon of the norms", 0, 1),
                     option("rope_base", &Config::rope_base, "base of the rotary angles", 1, 1e12),
                 });
    return s;
  }
};

struct Mix {
  Tensor alpha_C, beta_C;
};

struct Block {
  Tensor norm_attn, qkv, out, norm_mlp, fc1, fc1_bias, fc2, fc2_bias;
  Mix attn, mlp;
};

class Orthpar final : public Model {
 public:
  Orthpar(const Config& c, const Dims& dims, tensor::Params& p, tensor::Precision precision)
      : config_(c),
        vocab_(c.vocab_size > 0 ? c.vocab_size : dims.vocab_size),
        precision_(precision),
        rotary_(c.n_embd / c.n_head, c.rope_base, false) {
    check(dims);
    const int64_t C = c.n_embd, F = hidden(C);
    E_VC_ = p.add("token_embedding.weight", {vocab_, C}, normal(kWeightSd));
    for (int64_t l = 0; l < c.n_layer; ++l) {
      const std::string block = "blocks." + std::to_string(l) + ".";
      Block b;
      b.norm_attn = p.add(block + "norm_attn.weight", {C}, constant(1));
      b.qkv = p.add(block + "attn.qkv.weight", {3 * C, C}, normal(kWeightSd));
      b.out = p.add(block + "attn.out.weight", {C, C}, normal(kWeightSd));
      b.norm_mlp = p.add(block + "norm_mlp.weight", {C}, constant(1));
      b.fc1 = p.add(block + "mlp.fc1.weight", {2 * F, C}, normal(kWeightSd));
      b.fc1_bias = p.add(block + "mlp.fc1.bias", {2 * F}, constant(0));
      b.fc2 = p.add(block + "mlp.fc2.weight", {C, F}, normal(kWeightSd));
      b.fc2_bias = p.add(block + "mlp.fc2.bias", {C}, constant(0));
      b.attn = mix(p, block, "attn");
      b.mlp = mix(p, block, "mlp");
      blocks_.push_back(b);
    }
    norm_f_ = p.add("norm_f.weight", {C}, constant(1));
    U_VC_ = p.add("lm_head.weight", {vocab_, C}, normal(kWeightSd));
  }

  // x = E[u];  L times:  x = R(x, W_o Attn(W_qkv n(x)));  x = R(x, W_2 (y_1 silu(y_2)) + b_2), (y_1, y_2) = W_1 n(x) + b_1;  logits = U n(x)
  using Model::forward;
  Tensor forward(const Tensor& input, const Observer* observe) override {
    Tensor x_BTC = layers::embed(E_VC_, input);
    if (observe != nullptr) (*observe)("embed", x_BTC);
    for (size_t l = 0; l < blocks_.size(); ++l) {
      const Block& b = blocks_[l];
      const std::string block = "blocks." + std::to_string(l);
      x_BTC = updated(b.attn, x_BTC, attention(b, norm(b.norm_attn, x_BTC)));
      if (observe != nullptr) (*observe)(block + ".attn", x_BTC);
      const std::vector<Tensor> y = tensor::linear(norm(b.norm_mlp, x_BTC), b.fc1, b.fc1_bias, precision_).chunk(2, -1);
      x_BTC = updated(b.mlp, x_BTC, tensor::linear(y[0] * at::silu(y[1]), b.fc2, b.fc2_bias, precision_));
      if (observe != nullptr) (*observe)(block, x_BTC);
    }
    const Tensor z_BTC = norm(norm_f_, x_BTC);
    if (observe != nullptr) (*observe)("final", z_BTC);
    return tensor::linear(z_BTC, U_VC_, {}, precision_);
  }

  // The gradient takes the place of the logits.
  Tensor training_loss(const Tensor& ids_BT, const Tensor& targets_BT) override {
    return ops::loss_head(forward(ids_BT), {}, targets_BT, {.overwrite = true});
  }

  Tensor read_out(std::string_view name, const Tensor& state) override {
    return tensor::linear(name == "final" ? state : norm(norm_f_, state), U_VC_, {}, precision_);
  }
  int64_t vocab_size() const override { return vocab_; }

  // Half of 8C/3, rounded up to an even number.
  static int64_t hidden(int64_t C) { return ((8 * C + 2) / 3 + 1) / 2; }

 private:
  void check(const Dims& dims) const {
    const auto bad = [](const std::string& what) { throw core::ConfigError("orthpar", what); };
    if (vocab_ < 2) bad("vocab_size must be at least 2, got " + std::to_string(vocab_));
    if (dims.vocab_size > vocab_)
      bad("vocab_size=" + std::to_string(vocab_) + " is smaller than the data's vocabulary of " + std::to_string(dims.vocab_size));
    if (config_.n_embd % (2 * config_.n_head) != 0)
      bad("n_head=" + std::to_string(config_.n_head) + " does not divide n_embd=" + std::to_string(config_.n_embd) +
          " into heads of even size, which rotary positions turn in pairs");
    const auto unread = [&](bool is_set, const std::string& option) {
      if (is_set) bad(option + " is not read with residual=" + config_.residual);
    };
    const Config standard;
    if (config_.residual == "plain") {
      unread(config_.alpha_init != standard.alpha_init, "alpha_init");
      unread(config_.alpha_init_sd != standard.alpha_init_sd, "alpha_init_sd");
    }
    if (config_.residual == "plain" || config_.residual == "scaled") {
      unread(config_.beta_init != standard.beta_init, "beta_init");
      unread(config_.beta_init_sd != standard.beta_init_sd, "beta_init_sd");
    }
  }

  Mix mix(tensor::Params& p, const std::string& block, const std::string& kind) const {
    const auto around = [&](const std::string& name, double mean, double sd) {
      Tensor t = p.add(block + name + "_" + kind, {config_.n_embd}, normal(sd));
      t.add_(mean);
      return t;
    };
    Mix m;
    if (config_.residual != "plain") m.alpha_C = around("alpha", config_.alpha_init, config_.alpha_init_sd);
    if (config_.residual != "plain" && config_.residual != "scaled") m.beta_C = around("beta", config_.beta_init, config_.beta_init_sd);
    return m;
  }

  Tensor updated(const Mix& m, const Tensor& x_BTC, const Tensor& y_BTC) const {
    if (m.beta_C.defined()) return orthogonal_update(x_BTC, y_BTC, m.alpha_C, m.beta_C, orthogonal_update_from(config_.residual));
    return m.alpha_C.defined() ? x_BTC + m.alpha_C * y_BTC : x_BTC + y_BTC;
  }

  Tensor attention(const Block& b, const Tensor& z_BTC) {
    const int64_t B = z_BTC.size(0), T = z_BTC.size(1), H = config_.n_head, d = config_.n_embd / H;
    // Rows of W_qkv: q, k, v of the first head, then of the second, ...
    const Tensor heads = tensor::linear(z_BTC, b.qkv, {}, precision_).view({B, T, H, 3, d}).permute({3, 0, 2, 1, 4});
    const Tensor y = layers::causal_attention(rotary_(heads[0]), rotary_(heads[1]), heads[2], std::nullopt, precision_);
    return tensor::linear(layers::joined_heads(y), b.out, {}, precision_);
  }

  Tensor norm(const Tensor& gain_C, const Tensor& x) const { return layers::rms_norm(x, config_.rms_eps) * gain_C; }

  Config config_;
  int64_t vocab_;
  tensor::Precision precision_;
  layers::Rotary rotary_;
  Tensor E_VC_, norm_f_, U_VC_;
  std::vector<Block> blocks_;
};

std::unique_ptr<Model> make(const core::Value& config, const Dims& dims, tensor::Params& params, tensor::Precision precision) {
  return std::make_unique<Orthpar>(configure<Config>(config), dims, params, precision);
}

// MACs a token: 4 C^2 and three products of C with the hidden width a block, T C causal attention, V C for the head.
Cost cost(const core::Value& config, const Dims& dims) {
  const auto c = configure<Config>(config);
  const double C = static_cast<double>(c.n_embd), L = static_cast<double>(c.n_layer), T = static_cast<double>(dims.seq_len),
               V = static_cast<double>(c.vocab_size > 0 ? c.vocab_size : dims.vocab_size),
               F = static_cast<double>(Orthpar::hidden(c.n_embd));
  const double dense = L * (4 * C * C + 3 * C * F) + V * C, attention = L * T * C;
  return {2 * (dense + attention), 2 * (3 * dense + 3.5 * attention), 4 * (L * (12 * C + 4 * F) + V)};
}

}  // namespace

ASSAY_ARCHITECTURE(orthpar){
    .name = "orthpar",
    .aliases = "orthogonal_parallel",
    .family = "transformer",
    .mixer = "causal softmax attention, rotary positions",
    .transform = "SwiGLU of about 4C/3, pre-norm, residual split along and across the stream",
    .summary = "decoder with the orthogonal-parallel residual: the text's equation, the notebook's code, and controls",
    .source = "lof310, notebook and library",
    .equations = "x_t = E[u_t];  L times, for y = W_o Attn(W_qkv n(x)) and y = W_2 (y_1 silu(y_2)) + b_2:\n"
                 "  c = <x,y> / max(<x,x>, 1e-8)\n"
                 "  x = x + alpha (y - c x) + beta c x        (notebook: beta c y / sum(y))\n"
                 "logits = U n(x)",
    .schema = &Config::schema,
    .new_config = &new_config<Config>,
    .make = &make,
    .cost = &cost,
};

}  // namespace assay::arch::transformer
