// The GPT-2 style decoder: learned positions, pre-norm blocks, softmax attention, GELU MLP, tied head.
// Source: Radford et al. 2019, as implemented by the published baseline of the component experiments.
#include <ATen/ops/arange.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include <cmath>

#include "assay/arch/architecture.h"
#include "assay/core/error.h"
#include "assay/layers/embedding.h"

namespace assay::arch::transformer {
namespace {

using tensor::constant;
using tensor::normal;
using tensor::uniform;

struct Config {
  int64_t vocab_size = 0, n_layer = 4, n_head = 4, n_embd = 128, max_seq_len = 0;
  int64_t loss_first = -1, loss_last = -1;

  static const core::Schema& schema() {
    using core::option;
    static const core::Schema s = core::declare<Config>(
        "model", {
                     option("vocab_size", &Config::vocab_size, "vocabulary; 0 = the data's", 0, 65536).env("VOCAB_SIZE"),
                     option("n_layer", &Config::n_layer, "blocks L", 1, 1024).env("NUM_LAYERS"),
                     option("n_head", &Config::n_head, "attention heads H; divides n_embd", 1, 1024).env("NUM_HEADS"),
                     option("n_embd", &Config::n_embd, "width C", 1, 65536).env("MODEL_DIM"),
                     option("max_seq_len", &Config::max_seq_len, "learned positions; 0 = the run's sequence length", 0, 1 << 20),
                     option("loss_first", &Config::loss_first, "first position that the loss counts; -1 = all", -1, 1 << 20),
                     option("loss_last", &Config::loss_last, "last position that the loss counts; -1 = loss_first", -1, 1 << 20),
                 });
    return s;
  }
};

struct Affine {  // gain and bias of a norm, or weight [out, in] and bias [out] of a linear map
  Tensor weight, bias;
};

struct Block {
  Affine ln1, qkv, out, ln2, fc1, fc2;
};

class Gpt2 final : public Model {
 public:
  Gpt2(const Config& c, const Dims& dims, tensor::Params& p, tensor::Precision precision) : config_(c), precision_(precision) {
    if (config_.vocab_size == 0) config_.vocab_size = dims.vocab_size;
    if (config_.max_seq_len == 0) config_.max_seq_len = dims.seq_len;
    if (config_.loss_last < 0) config_.loss_last = config_.loss_first;
    check(dims);
    const int64_t C = c.n_embd;
    E_VC_ = p.add("token_embedding.weight", {config_.vocab_size, C}, normal(0.02));
    P_TC_ = p.add("position_embedding.weight", {config_.max_seq_len, C}, normal(0.02));
    for (int64_t l = 0; l < c.n_layer; ++l) {
      const std::string block = "blocks." + std::to_string(l) + ".";
      blocks_.push_back({norm(p, block + "ln1", C), linear(p, block + "attn.qkv", 3 * C, C), linear(p, block + "attn.out", C, C),
                         norm(p, block + "ln2", C), linear(p, block + "mlp.fc1", 4 * C, C), linear(p, block + "mlp.fc2", C, 4 * C)});
    }
    ln_f_ = norm(p, "ln_f", C);
  }

  // x = E[u] + P;  L times:  x += W_o Attn(W_qkv LN1(x) + b_qkv) + b_o;  x += W_2 gelu(W_1 LN2(x) + b_1) + b_2;  logits = E LNf(x)
  using Model::forward;
  Tensor forward(const Tensor& input, const Observer* observe) override {
    const int64_t T = input.size(1);
    if (T > config_.max_seq_len)
      throw core::ConfigError("gpt2",
                              "a sequence of " + std::to_string(T) + " tokens, but max_seq_len=" + std::to_string(config_.max_seq_len));
    Tensor x_BTC = layers::embed(E_VC_, input) + P_TC_.narrow(0, 0, T);
    if (observe != nullptr) (*observe)("embed", x_BTC);
    for (size_t l = 0; l < blocks_.size(); ++l) {
      const Block& b = blocks_[l];
      const std::string block = "blocks." + std::to_string(l);
      x_BTC = x_BTC + apply(b.out, attend(apply(b.qkv, layer_norm(b.ln1, x_BTC))));
      if (observe != nullptr) (*observe)(block + ".attn", x_BTC);
      x_BTC = x_BTC + apply(b.fc2, at::gelu(apply(b.fc1, layer_norm(b.ln2, x_BTC)), "tanh"));
      if (observe != nullptr) (*observe)(block, x_BTC);
    }
    const Tensor z_BTC = layer_norm(ln_f_, x_BTC);
    if (observe != nullptr) (*observe)("final", z_BTC);
    return tensor::linear(z_BTC, E_VC_, {}, precision_);
  }

  Tensor read_out(std::string_view name, const Tensor& state) override {
    return tensor::linear(name == "final" ? state : layer_norm(ln_f_, state), E_VC_, {}, precision_);
  }

  std::pair<int64_t, int64_t> scored(int64_t T) const override {
    return config_.loss_first < 0 ? std::pair(int64_t{0}, T) : std::pair(config_.loss_first, config_.loss_last + 1);
  }

  int64_t vocab_size() const override { return config_.vocab_size; }

 private:
  void check(const Dims& dims) const {
    const auto bad = [](const std::string& what) { throw core::ConfigError("gpt2", what); };
    if (config_.vocab_size < 2) bad("vocab_size must be at least 2, got " + std::to_string(config_.vocab_size));
    if (dims.vocab_size > config_.vocab_size)
      bad("vocab_size=" + std::to_string(config_.vocab_size) + " is smaller than the data's vocabulary of " +
          std::to_string(dims.vocab_size));
    if (config_.n_embd % config_.n_head != 0)
      bad("n_head=" + std::to_string(config_.n_head) + " does not divide n_embd=" + std::to_string(config_.n_embd));
    if (dims.seq_len > config_.max_seq_len)
      bad("max_seq_len=" + std::to_string(config_.max_seq_len) + " is shorter than the run's sequences of " + std::to_string(dims.seq_len));
    if (config_.loss_last < config_.loss_first)
      bad("loss_last=" + std::to_string(config_.loss_last) + " lies before loss_first=" + std::to_string(config_.loss_first));
  }

  static Affine norm(tensor::Params& p, const std::string& name, int64_t n) {
    return {p.add(name + ".weight", {n}, constant(1)), p.add(name + ".bias", {n}, constant(0))};
  }
  // Biases start uniform, as the published code leaves its framework's default in place.
  static Affine linear(tensor::Params& p, const std::string& name, int64_t out, int64_t in) {
    return {p.add(name + ".weight", {out, in}, normal(0.02)),
            p.add(name + ".bias", {out}, uniform(1 / std::sqrt(static_cast<double>(in))))};
  }

  Tensor apply(const Affine& a, const Tensor& x) const { return tensor::linear(x, a.weight, a.bias, precision_); }
  static Tensor layer_norm(const Affine& a, const Tensor& x) { return at::layer_norm(x, {x.size(-1)}, a.weight, a.bias, 1e-5); }

  Tensor attend(const Tensor& qkv_BT3C) const {
    const int64_t B = qkv_BT3C.size(0), T = qkv_BT3C.size(1), H = config_.n_head, D = config_.n_embd / H;
    const Tensor heads = qkv_BT3C.view({B, T, 3, H, D}).permute({2, 0, 3, 1, 4});  // [3, B, H, T, D]
    const auto rounded = [&](const Tensor& t) { return precision_ == tensor::Precision::bf16 && t.is_cuda() ? t.to(at::kBFloat16) : t; };
    const Tensor o = at::scaled_dot_product_attention(rounded(heads[0]), rounded(heads[1]), rounded(heads[2]), std::nullopt, 0.0, true);
    return o.to(qkv_BT3C.scalar_type()).transpose(1, 2).reshape({B, T, config_.n_embd});
  }

  Config config_;
  tensor::Precision precision_;
  Tensor E_VC_, P_TC_;
  std::vector<Block> blocks_;
  Affine ln_f_;
};

std::unique_ptr<Model> make(const core::Value& config, const Dims& dims, tensor::Params& params, tensor::Precision precision) {
  return std::make_unique<Gpt2>(configure<Config>(config), dims, params, precision);
}

// MACs a token: 12 C^2 a block, T C causal attention (scores and values, half of 2TC), V C for the head.
Cost cost(const core::Value& config, const Dims& dims) {
  const auto c = configure<Config>(config);
  const double C = static_cast<double>(c.n_embd), L = static_cast<double>(c.n_layer), T = static_cast<double>(dims.seq_len),
               V = static_cast<double>(c.vocab_size > 0 ? c.vocab_size : dims.vocab_size);
  const double dense = L * 12 * C * C + V * C, attention = L * T * C;
  return {2 * (dense + attention), 2 * (3 * dense + 3.5 * attention), 4 * (L * 16 * C + V)};
}

}  // namespace

ASSAY_ARCHITECTURE(gpt2){
    .name = "gpt2",
    .aliases = "gpt-2",
    .family = "transformer",
    .mixer = "causal softmax attention, learned positions",
    .transform = "4x MLP with tanh-GELU",
    .summary = "the GPT-2 style decoder that components are measured against; tied head, biases everywhere",
    .source = "Radford et al. 2019",
    .equations = "x_t = E[u_t] + P[t];  L times:\n"
                 "  x += W_o Attn(W_qkv LN1(x) + b_qkv) + b_o\n"
                 "  x += W_2 gelu(W_1 LN2(x) + b_1) + b_2\n"
                 "logits = E LNf(x)",
    .schema = &Config::schema,
    .new_config = &new_config<Config>,
    .make = &make,
    .cost = &cost,
};

}  // namespace assay::arch::transformer
