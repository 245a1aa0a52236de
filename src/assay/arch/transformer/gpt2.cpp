// The GPT-2 style decoder and its parts: by default learned positions, pre-norm blocks, softmax attention, GELU MLP, tied head. Every
// part is a file of decoder/ with its equations; this one puts them together.
// Source: Radford et al. 2019, as implemented by the published baseline of the component experiments.
#include "assay/arch/architecture.h"
#include "assay/arch/transformer/decoder/attention.h"
#include "assay/arch/transformer/decoder/blend.h"
#include "assay/arch/transformer/decoder/head.h"
#include "assay/arch/transformer/decoder/hebbian.h"
#include "assay/arch/transformer/decoder/mlp.h"
#include "assay/arch/transformer/decoder/norm.h"
#include "assay/arch/transformer/decoder/objective.h"
#include "assay/arch/transformer/decoder/position.h"
#include "assay/arch/transformer/decoder/residual.h"
#include "assay/arch/transformer/decoder/sort.h"
#include "assay/arch/transformer/decoder/token_shift.h"
#include "assay/layers/embedding.h"

namespace assay::arch::transformer {
namespace {

using decoder::refuse;

struct Config {
  int64_t vocab_size = 0, n_layer = 4, n_head = 4, n_embd = 128, max_seq_len = 0;
  bool bias = true;
  decoder::NormConfig norm;
  decoder::PositionConfig position;
  decoder::AttentionConfig attention;
  decoder::MlpConfig mlp;
  decoder::BandConfig band;
  decoder::ResidualConfig residual;
  decoder::SortConfig sort;
  decoder::BlendConfig blend;
  decoder::ShiftConfig shift;
  decoder::HebbianConfig hebbian;
  decoder::HeadConfig head;
  decoder::ObjectiveConfig objective;

  static const core::Schema& schema();
  void check(const Dims& dims) const;
};

const core::Schema& Config::schema() {
  using core::option;
  static const core::Schema s = [] {
    std::vector<core::Field> fields =
        core::declare<Config>(
            "model",
            {
                option("vocab_size", &Config::vocab_size, "vocabulary; 0 = the data's", 0, 65536).env("VOCAB_SIZE"),
                option("n_layer", &Config::n_layer, "blocks L", 1, 1024).env("NUM_LAYERS"),
                option("n_head", &Config::n_head, "attention heads H; divides n_embd", 1, 1024).env("NUM_HEADS"),
                option("n_embd", &Config::n_embd, "width C", 1, 65536).env("MODEL_DIM"),
                option("max_seq_len", &Config::max_seq_len, "longest sequence; 0 = the run's sequence length", 0, 1 << 20),
                option("bias", &Config::bias, "linear maps have biases"),
            })
            .fields();
    append_options(fields, &Config::norm);
    append_options(fields, &Config::position);
    append_options(fields, &Config::attention);
    append_options(fields, &Config::mlp);
    append_options(fields, &Config::band);
    append_options(fields, &Config::residual);
    append_options(fields, &Config::sort);
    append_options(fields, &Config::blend);
    append_options(fields, &Config::shift);
    append_options(fields, &Config::hebbian);
    append_options(fields, &Config::head);
    append_options(fields, &Config::objective);
    return core::Schema("model", std::move(fields));
  }();
  return s;
}

// Sizes 0 become the data's and the run's.
Config resolved(const core::Value& options, const Dims& dims) {
  auto c = configure<Config>(options);
  if (c.vocab_size == 0) c.vocab_size = dims.vocab_size;
  if (c.max_seq_len == 0) c.max_seq_len = dims.seq_len;
  return c;
}

void Config::check(const Dims& dims) const {
  if (vocab_size < 2) refuse("vocab_size must be at least 2, got " + std::to_string(vocab_size));
  if (dims.vocab_size > vocab_size)
    refuse("vocab_size=" + std::to_string(vocab_size) + " is smaller than the data's vocabulary of " + std::to_string(dims.vocab_size));
  if (dims.seq_len > max_seq_len)
    refuse("max_seq_len=" + std::to_string(max_seq_len) + " is shorter than the run's sequences of " + std::to_string(dims.seq_len));
  if (position.position == "rotary" && n_embd % (2 * n_head) != 0)
    refuse("position=rotary turns pairs of a head's channels: n_embd=" + std::to_string(n_embd) +
           " must be a multiple of 2 n_head=" + std::to_string(2 * n_head));
  if (blend.on() && blend.blend_order == "before_pos" && position.position != "learned")
    refuse("blend_order=before_pos stands before position vectors are added; position=" + position.position + " has none");
  if (blend.on() && shift.token_shift == "embedding")
    refuse("blend_window and token_shift=embedding are two rules for the stream before block 0; choose one");
  if (shift.previous_token && (blend.on() || shift.token_shift == "embedding"))
    refuse("previous_token and a blend or shift of the embedding are two ways for the token before into block 0; choose one");
  if (sort.on() && shift.token_shift == "blocks")
    refuse("sort_window and token_shift=blocks are two rules for the stream behind a block; choose one");
  mlp.check(band);
  sort.check(n_layer);
  hebbian.check();
  objective.check();
}

struct Block {
  decoder::Norm ln1, ln2;
  decoder::Attention attn;
  decoder::Mlp mlp;
  decoder::Residual join_attn, join_mlp;
  std::optional<decoder::Sort> sort;
  std::optional<decoder::TokenShift> shift;
};

class Gpt2 final : public Model {
 public:
  Gpt2(const Config& c, const Dims& dims, tensor::Params& p, tensor::Precision precision) : config_(c) {
    c.check(dims);
    const decoder::Builder b{p, precision, c.bias};
    const int64_t V = c.vocab_size, C = c.n_embd;
    E_VC_ = p.add("token_embedding.weight", {V, C}, tensor::normal(0.02));
    if (c.position.position == "learned") P_TC_ = p.add("position_embedding.weight", {c.max_seq_len, C}, tensor::normal(0.02));
    if (c.position.position == "rotary") rotary_.emplace(C / c.n_head, c.position.rope_base, false);
    if (c.shift.previous_token) previous_VC_ = p.add("previous_token_embedding.weight", {V, C}, tensor::normal(0.02));
    if (c.blend.on()) blend_ = decoder::Blend(c.blend, b);
    if (c.shift.token_shift == "embedding") shift_ = decoder::TokenShift(c.shift, b, "shift");
    for (int64_t l = 0; l < c.n_layer; ++l) blocks_.push_back(block(b, l));
    ln_f_ = decoder::Norm(c.norm, b, "ln_f", C);
    head_ = decoder::Head(c.head, b, E_VC_);
    if (c.hebbian.on()) hebbian_ = decoder::Hebbian(c.hebbian, b, E_VC_);
  }

  // x = E[u] + P;  L times:  x += W_o Attn(W_qkv LN1(x) + b_qkv) + b_o;  x += W_2 gelu(W_1 LN2(x) + b_1) + b_2;  logits = E LNf(x)
  using Model::forward;
  Tensor forward(const Tensor& input, const Observer* observe) override { return head_(states(input, observe)).to(E_VC_.scalar_type()); }

  Tensor read_out(std::string_view name, const Tensor& state) override {
    return head_(name == "final" ? state : ln_f_(state)).to(E_VC_.scalar_type());
  }
  Tensor loss(const Tensor& logits_BTV, const Tensor& targets_BT) override {
    return decoder::objective(config_.objective, logits_BTV, targets_BT);
  }
  Tensor training_loss(const Tensor& ids_BT, const Tensor& targets_BT) override {
    const Tensor z_BTC = states(ids_BT, nullptr);
    return decoder::objective(config_.objective, z_BTC, head_.matrix(), targets_BT, head_.precision());
  }
  std::pair<int64_t, int64_t> scored(int64_t T) const override { return config_.objective.scored(T); }
  int64_t vocab_size() const override { return config_.vocab_size; }

  bool repeats_work() const override { return !hebbian_; }
  // Masking the weights again changes nothing, whether the update took place or not.
  int64_t update_kind(const Update&) const override { return hebbian_ ? kTold : kUnlike; }
  void before_update(const Update& update, const Tensor& ids_BT) override {
    if (hebbian_) hebbian_->pull(update, ids_BT);
  }
  void adjust_gradients() override {
    for (Block& b : blocks_) b.mlp.mask_gradients();
    if (hebbian_) hebbian_->adjust_gradient();
  }
  void after_update(const Update&) override {
    for (Block& b : blocks_) b.mlp.mask_weights();
  }

 private:
  Block block(const decoder::Builder& b, int64_t l) const {
    const Config& c = config_;
    const std::string name = "blocks." + std::to_string(l) + ".";
    const double out_scale = c.residual.out_scale(c.n_layer);
    Block made;
    made.ln1 = decoder::Norm(c.norm, b, name + "ln1", c.n_embd);
    made.attn = decoder::Attention(c.attention, c.n_embd, c.n_head, b, name + "attn", out_scale);
    made.ln2 = decoder::Norm(c.norm, b, name + "ln2", c.n_embd);
    made.mlp = decoder::Mlp(c.mlp, c.band, c.n_embd, b, name + "mlp", out_scale);
    made.join_attn = decoder::Residual(c.residual, c.n_layer, c.n_embd, b, name + "gate_attn");
    made.join_mlp = decoder::Residual(c.residual, c.n_layer, c.n_embd, b, name + "gate_mlp");
    if (c.sort.in_layer(l)) made.sort = decoder::Sort(c.sort, b, name + "sort");
    if (c.shift.token_shift == "blocks") made.shift = decoder::TokenShift(c.shift, b, name + "shift");
    return made;
  }

  // The normalised state behind the last block.
  Tensor states(const Tensor& input, const Observer* observe) {
    const auto seen = [&](const std::string& name, decoder::Stream& s) {
      if (observe != nullptr) (*observe)(name, s.settled());
    };
    const int64_t T = input.size(1);
    if (T > config_.max_seq_len)
      refuse("a sequence of " + std::to_string(T) + " tokens, but max_seq_len=" + std::to_string(config_.max_seq_len));
    decoder::Stream stream{embed(input), {}};
    seen("embed", stream);
    for (size_t l = 0; l < blocks_.size(); ++l) {
      const Block& b = blocks_[l];
      const std::string block = "blocks." + std::to_string(l);
      const ops::Normalized first = b.ln1.branch(stream);
      decoder::Stream mixed = b.join_attn(first.through, b.attn(first.scaled, rotary_ ? &*rotary_ : nullptr));
      seen(block + ".attn", mixed);
      const bool parallel = config_.residual.parallel();
      const ops::Normalized second = b.ln2.branch(parallel ? decoder::Stream{first.through, {}} : mixed);
      stream = b.join_mlp(parallel ? mixed.settled() : second.through, b.mlp(second.scaled));
      if (b.sort || b.shift) {
        seen(block + ".mlp", stream);
        const Tensor& x_BTC = stream.settled();
        stream = {b.sort ? (*b.sort)(x_BTC) : (*b.shift)(x_BTC), {}};
      }
      seen(block, stream);
    }
    decoder::Stream last{ln_f_.branch(stream).scaled, {}};
    seen("final", last);
    return last.x;
  }

  Tensor embed(const Tensor& input) const {
    Tensor x_BTC = layers::embed(E_VC_, input);
    const int64_t T = input.size(1);
    if (previous_VC_.defined()) x_BTC = x_BTC + decoder::earlier(layers::embed(previous_VC_, input), 1);
    const bool first = config_.blend.blend_order == "before_pos";
    if (blend_ && first) x_BTC = (*blend_)(x_BTC);
    if (P_TC_.defined()) x_BTC = x_BTC + P_TC_.narrow(0, 0, T);
    if (blend_ && !first) x_BTC = (*blend_)(x_BTC);
    return shift_ ? (*shift_)(x_BTC) : x_BTC;
  }

  Config config_;
  Tensor E_VC_, P_TC_, previous_VC_;
  std::optional<layers::Rotary> rotary_;
  std::optional<decoder::Blend> blend_;
  std::optional<decoder::TokenShift> shift_;
  std::optional<decoder::Hebbian> hebbian_;
  std::vector<Block> blocks_;
  decoder::Norm ln_f_;
  decoder::Head head_;
};

std::unique_ptr<Model> make(const core::Value& config, const Dims& dims, tensor::Params& params, tensor::Precision precision) {
  return std::make_unique<Gpt2>(resolved(config, dims), dims, params, precision);
}

// MACs a token. By default 12 C^2 a block, T C causal attention (scores and values, half of 2TC), V C for the head; a backward pass costs
// twice the products and 2.5 times the attention.
Cost cost(const core::Value& options, const Dims& dims) {
  const Config c = resolved(options, dims);
  const double C = static_cast<double>(c.n_embd), L = static_cast<double>(c.n_layer), T = static_cast<double>(dims.seq_len),
               V = static_cast<double>(c.vocab_size), heads = static_cast<double>(c.n_head);
  double sorted = 0;
  for (int64_t l = 0; l < c.n_layer; ++l) sorted += c.sort.in_layer(l) ? c.sort.macs(C, T) : 0;
  const double attention = L * T * C, mixing = sorted + c.blend.macs(C, T);
  const double dense =
      L * (decoder::Attention::macs(c.attention, C, heads, T) - T * C + decoder::Mlp::macs(c.mlp, c.band, c.n_embd)) + V * C;
  const double hidden = static_cast<double>(c.mlp.hidden(c.n_embd, c.band));
  return {2 * (dense + attention + mixing), 2 * (3 * (dense + mixing) + 3.5 * attention + c.hebbian.macs(C, T)),
          4 * L * (8 * C + 2 * hidden)};
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
                 "logits = E LNf(x)\n"
                 "norm, position, attention, mlp, residual, head and loss are parts to choose; band_*, sort_*, blend_*, token_shift_* and\n"
                 "hebbian_* add a rule where the model has the place for it (docs/components.md)",
    .schema = &Config::schema,
    .new_config = &new_config<Config>,
    .make = &make,
    .cost = &cost,
};

}  // namespace assay::arch::transformer
