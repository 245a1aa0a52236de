// The normalised decoder of the report on gated residuals, with its ten hypotheses (H1 to H10) as options that compose.
// Source: the report's trainer; Loshchilov et al. 2024 for the idea. What differs from the latter: branch outputs are not normalised, updates are
// additive, no rotary positions, the output matrices are projected along the input axis, and only every few steps.
#include <ATen/ops/addcmul.h>
#include <ATen/ops/full.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/where.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <map>

#include "assay/arch/architecture.h"
#include "assay/arch/given_masks.h"
#include "assay/arch/transformer/sphere.h"
#include "assay/core/error.h"
#include "assay/layers/attention.h"
#include "assay/layers/embedding.h"
#include "assay/layers/keep_mask.h"
#include "assay/ops/loss_head/linear_loss_head.h"
#include "assay/ops/sphere_step/sphere_step.h"

namespace assay::arch::transformer {
namespace {

using tensor::constant;
using tensor::normal;
using tensor::Treatment;
using tensor::uniform;

constexpr double kEps = 1e-8, kStatisticDecay = 0.99;

struct Config {
  int64_t vocab_size = 0, n_layer = 4, n_head = 4, n_embd = 128, max_seq_len = 0;
  double alpha_attn = 0.28, alpha_mlp = 0.28, logit_scale_init = 15, gate_init = 0, dropout_p = 0.1;
  std::string alpha_schedule = "none", gate = "none", dropout = "none", projection = "every";
  bool asymmetric_schedule = false, logit_scale_learnt = false, logit_scale_per_position = false, dual_norm = false,
       activation_radius = false, per_head_alpha = false, hier_norm = false, project_first = false;
  int64_t project_every = 7;
  double drift_threshold = 0.05, projection_radius = 1, target_radius = -1, other_lr = 0.3;

  static const core::Schema& schema() {
    using core::option;
    static const core::Schema s = core::declare<Config>(
        "model",
        {
            option("vocab_size", &Config::vocab_size, "vocabulary; 0 = the data's", 0, 65536).env("VOCAB_SIZE"),
            option("n_layer", &Config::n_layer, "blocks L", 1, 1024).env("NUM_LAYERS"),
            option("n_head", &Config::n_head, "attention heads H; divides n_embd", 1, 1024).env("NUM_HEADS"),
            option("n_embd", &Config::n_embd, "width C", 1, 65536).env("MODEL_DIM"),
            option("max_seq_len", &Config::max_seq_len, "learned positions; 0 = the run's sequence length", 0, 1 << 20),
            option("alpha_attn", &Config::alpha_attn, "initial step of the attention branches", -100, 100),
            option("alpha_mlp", &Config::alpha_mlp, "initial step of the MLP branches (H5: another one)", -100, 100),
            option("alpha_schedule", &Config::alpha_schedule, "H1: factor of the initial steps by layer")
                .one_of({"none", "linear", "upsidedown_u", "downsideup_u", "early_mid_late"}),
            option("asymmetric_schedule", &Config::asymmetric_schedule, "H1 with H5: the schedule scales two different steps"),
            option("logit_scale_init", &Config::logit_scale_init, "factor of the cosines that are the logits", 0, 1e6),
            option("logit_scale_learnt", &Config::logit_scale_learnt, "H2: that factor is learnt"),
            option("logit_scale_per_position", &Config::logit_scale_per_position, "H2: one factor a position"),
            option("gate", &Config::gate,
                   "H3: sigmoid gate on each branch: static (a vector), frozen (1/2), dynamic (of the state, by channel), dynamic_scalar")
                .one_of({"none", "static", "frozen", "dynamic", "dynamic_scalar"}),
            option("gate_init", &Config::gate_init, "initial logit of the gates", -100, 100),
            option("dual_norm", &Config::dual_norm, "H4: norms share a learnt part with a running statistic of past updates"),
            option("activation_radius", &Config::activation_radius, "H6: learnt radius behind each norm"),
            option("per_head_alpha", &Config::per_head_alpha, "H7: one attention step a head"),
            option("hier_norm", &Config::hier_norm, "H9: learnt share of normalised heads and branches"),
            option("dropout", &Config::dropout, "H10: branch coordinates, state coordinates, or whole branches of a token (path)")
                .one_of({"none", "branch", "state", "path"}),
            option("dropout_p", &Config::dropout_p, "H10: probability; of path, that of the last layer", 0, 0.999),
            option("projection", &Config::projection,
                   "when weights return to the sphere: every project_every updates, H8: time (5 to 15 apart) or drift, or off")
                .one_of({"every", "time", "drift", "off"}),
            option("project_every", &Config::project_every, "updates from one projection to the next, the first after update 0", 1,
                   1 << 30),
            option("drift_threshold", &Config::drift_threshold, "H8 drift: largest mean distance of a matrix's rows from the sphere", 0,
                   1e6),
            option("project_first", &Config::project_first, "the initial weights are projected, too"),
            option("projection_radius", &Config::projection_radius, "length of a projected row", 0, 1e6),
            option("target_radius", &Config::target_radius, "H6: the radius that the run ends with, on a straight line; -1 = the same", -1,
                   1e6),
            option("other_lr", &Config::other_lr, "learning rate of everything but the matrices of the blocks, over theirs", 0, 1e6),
        });
    return s;
  }
};

// A residual site: what happens to a branch's output on its way into the stream.
struct Site {
  std::string name;  // "blocks.0.attn"
  Tensor alpha;      // undefined where the heads have their own
  Tensor gate, gate_weight, gate_bias;
  Tensor dual_l, dual_M;
  Tensor radius, nu;
  double keep = 1;    // of this site's dropout
  int64_t place = 0;  // among all sites
};

struct Block {
  Tensor qkv, out, fc1, fc2;  // weights [out, in]
  Tensor alpha_heads, mu;
  Site attn, mlp;
};

double schedule_factor(const std::string& name, int64_t l, int64_t L) {
  const double u = L > 1 ? static_cast<double>(l) / static_cast<double>(L - 1) : 0, pi = 3.14159;  // as published
  if (name == "linear") return 0.7 + 0.6 * u;
  if (name == "upsidedown_u") return 1 + 0.5 * std::sin(pi * u);
  if (name == "downsideup_u") return 1 - 0.3 * std::sin(pi * u);
  if (name == "early_mid_late") return l * 3 / L == 0 ? 0.7 : l * 3 / L == 1 ? 1.3 : 1.0;
  return 1;
}

class Ngpt final : public Model, public GivenMasks {
 public:
  Ngpt(const Config& c, const Dims& dims, tensor::Params& p, tensor::Precision precision) : config_(c), precision_(precision) {
    if (config_.vocab_size == 0) config_.vocab_size = dims.vocab_size;
    if (config_.max_seq_len == 0) config_.max_seq_len = dims.seq_len;
    if (config_.target_radius < 0) config_.target_radius = config_.projection_radius;
    check(dims);
    const int64_t C = c.n_embd, L = c.n_layer;
    const Treatment other{c.other_lr, 1, true};
    E_VC_ = p.add("token_embedding.weight", {config_.vocab_size, C}, normal(1), other);
    P_TC_ = p.add("position_embedding.weight", {config_.max_seq_len, C}, normal(1), other);
    const auto linear = [&](const std::string& name, int64_t out, int64_t in) {
      return p.add(name + ".weight", {out, in}, uniform(1 / std::sqrt(static_cast<double>(in))));
    };
    for (int64_t l = 0; l < L; ++l) {
      const std::string block = "blocks." + std::to_string(l) + ".";
      Block b;
      b.qkv = linear(block + "attn.qkv", 3 * C, C);
      b.out = linear(block + "attn.out", C, C);
      b.fc1 = linear(block + "mlp.fc1", 4 * C, C);
      b.fc2 = linear(block + "mlp.fc2", C, 4 * C);
      const double factor = schedule_factor(c.alpha_schedule, l, L);
      if (c.per_head_alpha) b.alpha_heads = p.add(block + "alpha_heads", {c.n_head}, constant(factor * c.alpha_attn), other);
      else b.attn.alpha = p.add(block + "alpha_attn", {}, constant(factor * c.alpha_attn), other);
      b.mlp.alpha = p.add(block + "alpha_mlp", {}, constant(factor * c.alpha_mlp), other);
      if (c.hier_norm) b.mu = p.add(block + "hier_mu", {}, constant(-2), other);
      complete(b.attn, l, "attn", p);
      complete(b.mlp, l, "mlp", p);
      blocks_.push_back(b);
    }
    U_VC_ = p.add("lm_head.weight", {config_.vocab_size, C}, uniform(1 / std::sqrt(static_cast<double>(C))), other);
    zeta_ = p.add("logit_scale", c.logit_scale_per_position ? std::vector<int64_t>{config_.max_seq_len} : std::vector<int64_t>{},
                  constant(c.logit_scale_init), {c.other_lr, 1, c.logit_scale_learnt});
    projections_ = p.add_state("projections", {}, 0);
    if (c.project_first)
      for (const Tensor& W : projected()) to_radius_(W, -1, c.projection_radius, kEps);
  }

  // x = N(N(E[u]) + N(P));  L times:  x = N(x + a_A Attn(x));  x = N(x + a_M W_2 gelu(W_1 x));  logits = zeta N(x) . N(U)
  using Model::forward;
  Tensor forward(const Tensor& input, const Observer* observe) override { return head(states(input, observe)); }

  // The gradient takes the place of the logits.
  Tensor training_loss(const Tensor& ids_BT, const Tensor& targets_BT) override {
    return ops::linear_loss_head(scaled(states(ids_BT, nullptr)), head_matrix(), targets_BT, {}, precision_);
  }

  Tensor read_out(std::string_view name, const Tensor& state) override { return head(name == "final" ? state : unit(state, kEps)); }
  int64_t vocab_size() const override { return config_.vocab_size; }
  void give_mask(const std::string& site, const Tensor& mask) override { given_[site] = mask; }

  bool repeats_work() const override { return config_.dropout == "none"; }  // masks are numbered by the host
  // With or without a projection; one whose radius walks is like no other.
  int64_t update_kind(const Update& u) const override {
    const bool projects = due(u);
    if (projects && config_.target_radius != config_.projection_radius) return kUnlike;
    return projects ? 1 : config_.dual_norm ? 0 : kUnlike;
  }
  void before_update(const Update&, const Tensor&) override { forget_squares(); }

  // The head's rows are normalised once an update, whatever the number of micro-batches.
  void begin_passes() override {
    unit_U_VC_ = unit(U_VC_, kEps);
    shared_U_VC_ = unit_U_VC_.detach().requires_grad_(true);
  }
  void adjust_gradients() override {
    if (shared_U_VC_.defined() && shared_U_VC_.grad().defined()) torch::autograd::backward({unit_U_VC_}, {shared_U_VC_.grad()});
    unit_U_VC_ = shared_U_VC_ = Tensor();
  }

  // H4's statistics take in this update's lengths, and the weights return to the sphere where it is time.
  void after_update(const Update& u) override {
    const Tensor applied = u.applied.defined() ? u.applied != 0 : Tensor();
    if (config_.dual_norm && squares_.defined()) take_in_squares(applied);
    forget_squares();
    if (due(u)) project(u, applied);
  }

 private:
  void check(const Dims& dims) const {
    const Config& c = config_;
    const auto bad = [](const std::string& what) { throw core::ConfigError("ngpt", what); };
    const auto text = [](double x) { return core::to_json(core::Value(x)); };
    if (c.vocab_size < 2) bad("vocab_size must be at least 2, got " + std::to_string(c.vocab_size));
    if (dims.vocab_size > c.vocab_size)
      bad("vocab_size=" + std::to_string(c.vocab_size) + " is smaller than the data's vocabulary of " + std::to_string(dims.vocab_size));
    if (c.n_embd % c.n_head != 0) bad("n_head=" + std::to_string(c.n_head) + " does not divide n_embd=" + std::to_string(c.n_embd));
    if (dims.seq_len > c.max_seq_len)
      bad("max_seq_len=" + std::to_string(c.max_seq_len) + " is shorter than the run's sequences of " + std::to_string(dims.seq_len));
    if (c.alpha_schedule != "none" && c.alpha_attn != c.alpha_mlp && !c.asymmetric_schedule)
      bad("alpha_schedule=" + c.alpha_schedule + " has one amplitude, but alpha_attn=" + text(c.alpha_attn) +
          " and alpha_mlp=" + text(c.alpha_mlp) + " differ; asymmetric_schedule=true scales each by the schedule");
    if (c.asymmetric_schedule && (c.alpha_schedule == "none" || c.alpha_attn == c.alpha_mlp))
      bad("asymmetric_schedule=true has nothing to allow with alpha_schedule=" + c.alpha_schedule + ", alpha_attn=" + text(c.alpha_attn) +
          " and alpha_mlp=" + text(c.alpha_mlp));
    const bool projects = c.projection != "off";
    if ((projects || c.project_first) && (c.projection_radius == 0 || c.target_radius == 0))
      bad((projects ? "projection=" + c.projection : std::string("project_first=true")) + " with " +
          (c.projection_radius == 0 ? "projection_radius=0" : "target_radius=0") + " would set every weight to zero");
    if (!projects && c.target_radius != c.projection_radius)
      bad("target_radius=" + text(c.target_radius) + " is never reached with projection=off");
  }

  // The parameters that the options give a site.
  void complete(Site& s, int64_t l, const std::string& kind, tensor::Params& p) {
    const Config& c = config_;
    const std::string block = "blocks." + std::to_string(l) + ".";
    const Treatment other{c.other_lr, 1, true};
    s.name = block + kind;
    s.place = 2 * l + (kind == "mlp" ? 1 : 0);
    if (c.gate == "static") s.gate = p.add(block + "gate_" + kind, {c.n_embd}, constant(c.gate_init), other);
    if (c.gate.starts_with("dynamic")) {
      const int64_t n = c.gate == "dynamic" ? c.n_embd : 1;
      s.gate_weight = p.add(block + "gate_" + kind + ".weight", {n, c.n_embd}, constant(0), other);
      s.gate_bias = p.add(block + "gate_" + kind + ".bias", {n}, constant(c.gate_init), other);
    }
    if (c.dual_norm) {
      s.dual_l = p.add(block + "dual_" + kind + ".l", {}, constant(-4), other);
      s.dual_M = p.add_state(block + "dual_" + kind + ".M", {}, 1);
    }
    if (c.activation_radius) s.radius = p.add(block + "radius_" + kind, {}, constant(1), other);
    if (c.hier_norm) s.nu = p.add(block + "hier_nu_" + kind, {}, constant(-2), other);
    if (c.dropout != "none")
      s.keep = 1 - (c.dropout == "path" ? c.dropout_p * static_cast<double>(l + 1) / static_cast<double>(c.n_layer) : c.dropout_p);
  }

  // N(x) behind the last block.
  Tensor states(const Tensor& input, const Observer* observe) {
    const int64_t T = input.size(1);
    if (T > config_.max_seq_len)
      throw core::ConfigError("ngpt",
                              "a sequence of " + std::to_string(T) + " tokens, but max_seq_len=" + std::to_string(config_.max_seq_len));
    const Tensor embedded_BTC = unit(layers::embed(E_VC_, input), kEps) + unit(P_TC_.narrow(0, 0, T), kEps);
    ops::OnSphere x = ops::sphere_step(embedded_BTC, {}, kEps, narrow(embedded_BTC));
    if (observe != nullptr) (*observe)("embed", x.y);
    if (config_.dual_norm && pass().training) count_pass();
    for (size_t l = 0; l < blocks_.size(); ++l) {
      Block& b = blocks_[l];
      const std::string block = "blocks." + std::to_string(l);
      x = residual(b.attn, x.y, attention(b, x));
      if (observe != nullptr) (*observe)(block + ".attn", x.y);
      x = residual(b.mlp, x.y, apply(b.fc2, at::gelu(apply(b.fc1, operand(x)))));
      if (observe != nullptr) (*observe)(block, x.y);
    }
    const Tensor z_BTC = unit(x.y, kEps);
    if (observe != nullptr) (*observe)("final", z_BTC);
    return z_BTC;
  }

  // W_o concat_h(a_h y'_h),  y' = (1 - mu) y + mu N(y) / sqrt(H)
  Tensor attention(const Block& b, const ops::OnSphere& x) const {
    const int64_t B = x.y.size(0), T = x.y.size(1), H = config_.n_head, d = config_.n_embd / H;
    const Tensor y_BTC = layers::packed_causal_attention(apply(b.qkv, operand(x)), H, precision_);
    if (!b.mu.defined() && !b.alpha_heads.defined()) return apply(b.out, y_BTC);
    Tensor y_BHTd = y_BTC.to(x.y.scalar_type()).view({B, T, H, d}).transpose(1, 2);
    if (b.mu.defined()) {
      const Tensor mu = at::sigmoid(b.mu);
      y_BHTd = y_BHTd * (1 - mu) + unit(y_BHTd, kEps) * (mu * (1 / std::sqrt(static_cast<double>(H))));
    }
    if (b.alpha_heads.defined()) y_BHTd = y_BHTd * b.alpha_heads.view({H, 1, 1});
    return apply(b.out, layers::joined_heads(y_BHTd));
  }

  // x = N4( x + alpha gate drop(rho') ),  rho' = (1 - nu) rho + nu N(rho)
  ops::OnSphere residual(Site& s, const Tensor& x_BTC, Tensor rho_BTC) {
    const bool drops = pass().training && config_.dropout != "none", drops_state = drops && config_.dropout == "state";
    if (s.nu.defined()) {
      rho_BTC = rho_BTC.to(x_BTC.scalar_type());
      const Tensor nu = at::sigmoid(s.nu);
      rho_BTC = rho_BTC * (1 - nu) + unit(rho_BTC, kEps) * nu;
    }
    const Tensor mask = drops ? mask_of(s, x_BTC) : Tensor();
    if (drops && !drops_state) rho_BTC = rho_BTC.to(x_BTC.scalar_type()) * (mask * (1 / s.keep));
    ops::OnSphere x;
    if (s.gate_weight.defined() || config_.dual_norm || drops_state) {
      rho_BTC = rho_BTC.to(x_BTC.scalar_type());
      const Tensor step = step_of(s, x_BTC);
      Tensor r_BTC = step.defined() ? at::addcmul(x_BTC, rho_BTC, step) : x_BTC + rho_BTC;
      if (drops_state) r_BTC = r_BTC * mask;
      x.y = config_.dual_norm ? dual_norm(s, r_BTC) : unit(r_BTC, kEps);
    } else {  // the usual one, in one pass each way
      const ops::SphereBranch branch{.rho = rho_BTC, .alpha = s.gate.defined() ? s.alpha : step_of(s, x_BTC), .gate = s.gate};
      x = ops::sphere_step(x_BTC, branch, kEps, narrow(x_BTC) && !s.radius.defined());
    }
    return s.radius.defined() ? ops::OnSphere{x.y * s.radius, {}} : x;
  }

  // alpha times the gate; undefined: 1.
  Tensor step_of(const Site& s, const Tensor& x_BTC) const {
    Tensor gate;
    if (config_.gate == "static") gate = at::sigmoid(s.gate);
    else if (config_.gate == "frozen") gate = at::full({}, 0.5, x_BTC.options());
    else if (s.gate_weight.defined()) gate = at::sigmoid(tensor::linear(x_BTC, s.gate_weight, s.gate_bias, precision_));
    if (!s.alpha.defined()) return gate;
    return gate.defined() ? gate * s.alpha : s.alpha;
  }

  // r |r|^(lambda - 1) M^(-lambda / 2),  lambda = sigmoid(l); M of past updates only, since one of this batch would see the future.
  Tensor dual_norm(Site& s, const Tensor& r_BTC) {
    const Tensor square_BT1 = r_BTC.square().sum(-1, true), lambda = at::sigmoid(s.dual_l);
    if (pass().training) squares_[s.place].add_(square_BT1.detach().mean());
    const Tensor exponent = (square_BT1 + kEps).log() * ((lambda - 1) * 0.5) - s.dual_M.log() * (lambda * 0.5);
    return r_BTC * exponent.exp();
  }

  Tensor mask_of(const Site& s, const Tensor& x_BTC) const {
    const bool path = config_.dropout == "path";
    const auto given = given_.find(s.name);
    const Tensor mask = given != given_.end()
                            ? given->second
                            : layers::keep_mask(x_BTC.size(0), x_BTC.size(1), path ? 0 : x_BTC.size(2), config_.max_seq_len, s.keep,
                                                pass().seed, "dropout/" + s.name, static_cast<uint64_t>(pass().batch), x_BTC.options());
    return path ? mask.unsqueeze(-1) : mask;
  }

  Tensor scaled(const Tensor& z_BTC) const {  // zeta scales the narrow side of the product
    return z_BTC * (config_.logit_scale_per_position ? zeta_.narrow(0, 0, z_BTC.size(1)).unsqueeze(-1) : zeta_);
  }
  Tensor head_matrix() const { return pass().training && shared_U_VC_.defined() ? shared_U_VC_ : unit(U_VC_, kEps); }
  Tensor head(const Tensor& z_BTC) const { return tensor::linear(scaled(z_BTC), head_matrix(), {}, precision_); }

  // On a GPU in bf16 what lies between two products stays in bfloat16.
  bool narrow(const Tensor& x) const { return precision_ == tensor::Precision::bf16 && x.is_cuda() && x.scalar_type() != at::kDouble; }
  Tensor apply(const Tensor& W, const Tensor& x) const { return tensor::linear(narrow(x) ? x.to(at::kBFloat16) : x, W, {}, precision_); }
  static const Tensor& operand(const ops::OnSphere& x) { return x.narrow.defined() ? x.narrow : x.y; }

  std::vector<Tensor> projected() const {
    std::vector<Tensor> all{E_VC_, P_TC_, U_VC_};
    for (const Block& b : blocks_) all.insert(all.end(), {b.qkv, b.out, b.fc1, b.fc2});
    return all;
  }

  std::vector<Site*> sites() {
    std::vector<Site*> all;
    for (Block& b : blocks_) all.insert(all.end(), {&b.attn, &b.mlp});
    return all;
  }

  // Sums over the training passes since the last update, on the device: the mean squared length at each site, and the number of passes.
  void count_pass() {
    if (!squares_.defined()) squares_ = at::zeros({static_cast<int64_t>(2 * blocks_.size()) + 1}, projections_.options());
    squares_[-1].add_(1);
  }
  void forget_squares() {
    if (squares_.defined()) squares_.zero_();
  }
  void take_in_squares(const Tensor& applied) {
    const Tensor passes = squares_[-1], share = (1 - kStatisticDecay) / passes;
    Tensor now = passes > 0;
    if (applied.defined()) now = now & applied;
    for (const Site* s : sites()) s->dual_M.copy_(at::where(now, s->dual_M * kStatisticDecay + squares_[s->place] * share, s->dual_M));
  }

  bool due(const Update& u) const {
    const std::string& when = config_.projection;
    if (when == "off") return false;
    return when == "every" ? u.number % config_.project_every == 0 : when == "drift" || timed_.due(u.number, u.total);
  }

  // `applied`: a boolean on the device; undefined: true.
  void project(const Update& u, const Tensor& applied) {
    const double radius = projection_radius(config_.projection_radius, config_.target_radius, u.number, u.total);
    const std::vector<Tensor> weights = projected();
    Tensor now = applied;
    if (config_.projection == "drift") {
      Tensor most = drift(weights.front(), radius);
      for (const Tensor& W : weights) most = at::maximum(most, drift(W, radius));
      now = most > config_.drift_threshold;  // decided where the weights are
      if (applied.defined()) now = now & applied;
    }
    for (const Tensor& W : weights) to_radius_(W, -1, radius, kEps, now);
    if (now.defined()) projections_.add_(now);
    else projections_.add_(1);
  }

  Config config_;
  tensor::Precision precision_;
  Tensor E_VC_, P_TC_, U_VC_, zeta_, projections_;
  std::vector<Block> blocks_;
  std::map<std::string, Tensor> given_;
  Tensor squares_;                  // [2 L + 1], where dual_norm is on
  Tensor unit_U_VC_, shared_U_VC_;  // during the passes of an update: the normalised head with its graph, and what the passes see of it
  mutable TimedProjection timed_;   // remembers how far it has counted
};

std::unique_ptr<Model> make(const core::Value& config, const Dims& dims, tensor::Params& params, tensor::Precision precision) {
  return std::make_unique<Ngpt>(configure<Config>(config), dims, params, precision);
}

// MACs a token: 12 C^2 a block (dynamic gates 2 C^2 more), T C causal attention, V C for the head.
Cost cost(const core::Value& config, const Dims& dims) {
  const auto c = configure<Config>(config);
  const double C = static_cast<double>(c.n_embd), L = static_cast<double>(c.n_layer), T = static_cast<double>(dims.seq_len),
               V = static_cast<double>(c.vocab_size > 0 ? c.vocab_size : dims.vocab_size);
  const double gates = c.gate == "dynamic" ? 2 * C : c.gate == "dynamic_scalar" ? 2 : 0;
  const double dense = L * C * (12 * C + gates) + V * C, attention = L * T * C;
  return {2 * (dense + attention), 2 * (3 * dense + 3.5 * attention), 4 * L * 18 * C};
}

}  // namespace

ASSAY_ARCHITECTURE(ngpt){
    .name = "ngpt",
    .aliases = "ngpt_report",
    .family = "transformer",
    .mixer = "causal softmax attention, learned positions",
    .transform = "4x MLP with exact GELU, states on the unit sphere",
    .summary = "normalised decoder of the gated-residual report, with its ten hypotheses as options",
    .source = "report on gated residuals in nGPT, trainer as published; Loshchilov et al. 2024",
    .equations = "N(x) = x / sqrt(sum x^2 + 1e-8)\n"
                 "x_t = N(N(E[u_t]) + N(P[t]));  L times:\n"
                 "  x = N(x + alpha_A gate_A W_o Attn(W_qkv x))\n"
                 "  x = N(x + alpha_M gate_M W_2 gelu(W_1 x))\n"
                 "logits = zeta N(x) . N(U);  rows of all matrices return to the sphere every 7 updates",
    .schema = &Config::schema,
    .new_config = &new_config<Config>,
    .make = &make,
    .cost = &cost,
};

}  // namespace assay::arch::transformer
