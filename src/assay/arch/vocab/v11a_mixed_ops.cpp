// v11a: five operations a step: a leaky sum, long attention, a gate on the whole state, an MLP, short attention.
// Source: the vocabulary-space family, variant 11a (published as v11_brainwave).
#include <ATen/ops/gelu.h>
#include <ATen/ops/sigmoid.h>

#include "assay/arch/vocab/skeleton.h"
#include "assay/layers/leaky_sum.h"

namespace assay::arch::vocab {
namespace {

using tensor::constant;
using tensor::normal;

struct Config : CommonOptions, ScoreOptions {
  int64_t num_steps = 8, state_dim = 64, inner_dim = 128, gate_dim = 64;
  bool ema_clamp = false, ema_normalised = false;

  static const core::Schema& schema() {
    using core::option;
    static const core::Schema s = declare<Config>({
        option("num_steps", &Config::num_steps, "recurrent steps N", 1, 1024).env("NUM_STEPS"),
        option("state_dim", &Config::state_dim, "width d of queries, keys and values", 1, 65536).env("STATE_DIM"),
        option("inner_dim", &Config::inner_dim, "width m of the MLP", 1, 65536).env("INNER_DIM"),
        option("gate_dim", &Config::gate_dim, "rank g of the gate", 1, 65536).env("STATE_DIM"),
        option("ema_normalised", &Config::ema_normalised, "leaky mean: the leaky sum times 1 - d"),
        option("ema_clamp", &Config::ema_clamp, "compatibility: the leaky sum as a clamped quotient, wrong at early positions"),
    });
    return s;
  }
};

//   x <- x + s_l LS(rho(x)),                LS(z)_t = sum_{s<t} d^(t-s) z_s,   d = max(sigmoid(decay_logits), 1e-6)
//   x <- x + s_long Mem(rho(x); delta_long),    Mem(z; delta) = DLA(z W_q^T, z W_k^T, z W_v^T; sigmoid(delta)) W_o^T, one W for all
//   x <- x sigmoid((x D_g^T) U_g^T + b_g)
//   x <- x + s_t gelu(rho(x) W_d^T + b) W_u^T
//   x <- x + s_short Mem(rho(x); delta_short)
struct Step {
  Tensor decay_logits_V, s_l, delta_long, s_long, delta_short, s_short;
  Tensor D_g_GV, U_g_VG, b_g_V;
  Tensor W_d_MV, W_u_VM, b_M, s_t;
};

class MixedOps final : public Skeleton {
 public:
  MixedOps(const Config& c, const Dims& dims, tensor::Params& p, tensor::Precision precision)
      : Skeleton(c, vocabulary(c.vocab_size, dims), p, precision, c), config_(c) {
    const int64_t V = vocab_size(), D = c.state_dim, G = c.gate_dim, M = c.inner_dim;
    W_q_DV_ = p.add("memory.q.weight", {D, V}, normal(0.02));
    W_k_DV_ = p.add("memory.k.weight", {D, V}, normal(0.02));
    W_v_DV_ = p.add("memory.v.weight", {D, V}, normal(0.02));
    W_o_VD_ = p.add("memory.o.weight", {V, D}, normal(0.02));
    for (int64_t i = 0; i < c.num_steps; ++i) {
      const std::string step = "steps." + std::to_string(i) + ".";
      const auto scalar = [&](const char* name, double init) { return p.add(step + name, {}, constant(init)); };
      steps_.push_back({p.add(step + "long_ema.decay_logits", {V}, constant(4)), scalar("long_ema.scale", 0.1), scalar("long_decay", 4),
                        scalar("long_scale", 0.1), scalar("short_decay", 1), scalar("short_scale", 0.1),
                        p.add(step + "gate.down.weight", {G, V}, normal(0.02)), p.add(step + "gate.up.weight", {V, G}, normal(0.01)),
                        p.add(step + "gate.up.bias", {V}, constant(2)), p.add(step + "transform.down.weight", {M, V}, normal(0.02)),
                        p.add(step + "transform.up.weight", {V, M}, normal(0.02)), p.add(step + "transform.bias", {M}, constant(0)),
                        scalar("transform.scale", 0.1)});
    }
    finish(p);
  }

  bool recurrent() const override { return Skeleton::recurrent() && !config_.ema_clamp; }  // the quotient depends on the final length

 private:
  Tensor steps(Tensor x_BTV, const Observer& seen) override {
    for (size_t i = 0; i < steps_.size(); ++i) {
      const Step& s = steps_[i];
      const std::string step = "steps." + std::to_string(i);
      x_BTV = half_step(x_BTV, s.s_l, [&](const Tensor& z_BTV) { return leak(s.decay_logits_V, z_BTV); });
      seen(step + ".long_ema", x_BTV);
      x_BTV = narrow_step(x_BTV, s.s_long, [&](const Tensor& z_BTV) { return remember(z_BTV, s.delta_long); });
      seen(step + ".long", x_BTV);
      x_BTV = x_BTV * at::sigmoid(linear(linear(x_BTV, s.D_g_GV), s.U_g_VG, s.b_g_V));
      seen(step + ".gate", x_BTV);
      x_BTV = narrow_step(x_BTV, s.s_t, [&](const Tensor& z_BTV) { return linear(at::gelu(linear(z_BTV, s.W_d_MV, s.b_M)), s.W_u_VM); });
      seen(step + ".transform", x_BTV);
      x_BTV = narrow_step(x_BTV, s.s_short, [&](const Tensor& z_BTV) { return remember(z_BTV, s.delta_short); });
      seen(step, x_BTV);
    }
    return x_BTV;
  }

  Tensor remember(const Tensor& z_BTV, const Tensor& delta) {
    const std::vector<Tensor> qkv = linears(z_BTV, {W_q_DV_, W_k_DV_, W_v_DV_});
    return linear(attend(qkv[0], qkv[1], qkv[2], delta), W_o_VD_);
  }

  Tensor leak(const Tensor& decay_logits_V, const Tensor& z_BTV) {
    const Tensor d_V = at::sigmoid(decay_logits_V).clamp_min(1e-6), z = in_time(z_BTV, 1);
    const Tensor sum = in_time(config_.ema_clamp ? layers::leaky_sum_clamped(z, d_V) : leaky_sum(z, d_V), 1);
    return config_.ema_normalised ? sum * (1 - d_V) : sum;
  }

  Config config_;
  Tensor W_q_DV_, W_k_DV_, W_v_DV_, W_o_VD_;
  std::vector<Step> steps_;
};

std::unique_ptr<Model> make(const core::Value& config, const Dims& dims, tensor::Params& params, tensor::Precision precision) {
  return std::make_unique<MixedOps>(configure<Config>(config), dims, params, precision);
}

Cost cost(const core::Value& config, const Dims& dims) {
  const auto c = configure<Config>(config);
  const Sizes n(c, dims);
  const auto N = static_cast<double>(c.num_steps), D = static_cast<double>(c.state_dim), G = static_cast<double>(c.gate_dim),
             M = static_cast<double>(c.inner_dim);
  return cost_of(N * (n.V + 8 * n.V * D + 2 * n.V * (G + M)), N * 2 * n.T * D, N * (14 * n.V + 8 * D + G + 2 * M));
}

constexpr Preset presets[] = {{"trainer", ""},
                              {"constructor", ""},
                              {"settings", ""},
                              {"reference", "ema_clamp=true"},
                              {"historical", "ema_clamp=true reversed_mask=true rms_eps=0.0078125"}};

}  // namespace

ASSAY_ARCHITECTURE(v11a_mixed_ops){
    .name = "v11a_mixed_ops",
    .aliases = "v11_brainwave brainwave v11a",
    .family = "vocabulary space",
    .mixer = "leaky sum and two decay linear attentions of different reach with shared weights",
    .transform = "sigmoid gate on the whole state, then an MLP",
    .summary = "five operations a step: leaky sum, long attention, gate, MLP, short attention",
    .source = "vocabulary-space family, variant 11a",
    .equations = "x = rho(onehot(u));  N times:\n"
                 "  x += s_l LS(rho(x)),  LS(z)_t = sum_{s<t} d^(t-s) z_s,  d = max(sigmoid(decay_logits), 1e-6)\n"
                 "  x += s_long Mem(rho(x); delta_long),  Mem(z; delta) = DLA(z W_q^T, z W_k^T, z W_v^T; delta) W_o^T\n"
                 "  x *= sigmoid((x D_g^T) U_g^T + b_g)\n"
                 "  x += s_t gelu(rho(x) W_d^T + b) W_u^T\n"
                 "  x += s_short Mem(rho(x); delta_short)\n"
                 "DLA(q, k, v; delta)_t = sum_{s<t} sigmoid(delta)^(t-s-1) (q_t.k_s) v_s\n"
                 "logits = c tanh(gamma rho(x) / c)",
    .notes = "Published: 7.30 nats (4.32 bits per byte), with the corrected mask but with a defective leaky sum: a quotient clamped at "
             "1e-8 damps\n"
             "early positions, and how much depends on the total length (ema_clamp=true). The sum here is exact. It is a sum, not a mean: "
             "its gain\n"
             "is 54.6 at the start, and the published run never came down to ln V = 6.93.",
    .presets = presets,
    .schema = &Config::schema,
    .new_config = &new_config<Config>,
    .make = &make,
    .cost = &cost};

}  // namespace assay::arch::vocab
