// v9: decay attention with dense maps from and to the vocabulary, then an MLP through a bottleneck.
// Source: the vocabulary-space family, variant 9 (published as v9_meta, "meta state").

#include "assay/arch/vocab/skeleton.h"

namespace assay::arch::vocab {
namespace {

using tensor::constant;
using tensor::normal;

struct Config : CommonOptions, ActivationOptions, ScoreOptions, DecayOptions {
  int64_t num_steps = 8, state_dim = 64, inner_dim = 128;

  static const core::Schema& schema() {
    using core::option;
    static const core::Schema s = declare<Config>({
        option("num_steps", &Config::num_steps, "recurrent steps N", 1, 1024).env("NUM_STEPS"),
        option("state_dim", &Config::state_dim, "width d of queries, keys and values", 1, 65536).env("STATE_DIM"),
        option("inner_dim", &Config::inner_dim, "width m of the MLP", 1, 65536).env("INNER_DIM"),
    });
    return s;
  }
};

//   x <- x + mu s_a DLA(z W_q^T, z W_k^T, z W_v^T; sigmoid(delta)) W_o^T,   z = rho(x)
//   x <- x + nu s_t act(z W_d^T + b) W_u^T,                                  z = rho(x)
struct Step {
  Tensor W_q_DV, W_k_DV, W_v_DV, W_o_VD, delta, s_a, mu;
  Tensor W_d_MV, W_u_VM, b_M, s_t, nu;
};

class LinAttn final : public Skeleton {
 public:
  LinAttn(const Config& c, const Dims& dims, tensor::Params& p, tensor::Precision precision)
      : Skeleton(c, vocabulary(c.vocab_size, dims), p, precision, c),
        activation_(layers::activation_from(c.activation, c.activation_fallback, true)) {
    const int64_t V = vocab_size(), D = c.state_dim, M = c.inner_dim;
    for (int64_t i = 0; i < c.num_steps; ++i) {
      const std::string step = "steps." + std::to_string(i) + ".", attn = step + "attn.", transform = step + "transform.";
      steps_.push_back({p.add(attn + "q_proj.weight", {D, V}, normal(0.02)), p.add(attn + "k_proj.weight", {D, V}, normal(0.02)),
                        p.add(attn + "v_proj.weight", {D, V}, normal(0.02)), p.add(attn + "o_proj.weight", {V, D}, normal(0.02)),
                        p.add(attn + "decay_logit", {}, constant(c.decay_init)), p.add(attn + "out_scale", {}, constant(0.1)),
                        p.add(step + "attn_scale", {1}, constant(1)), p.add(transform + "down.weight", {M, V}, normal(0.02)),
                        p.add(transform + "up.weight", {V, M}, normal(0.02)), p.add(transform + "bias", {M}, constant(0)),
                        p.add(transform + "out_scale", {}, constant(0.1)), p.add(step + "t_scale", {1}, constant(1))});
    }
    finish(p);
  }

 private:
  Tensor steps(Tensor x_BTV, const Observer& seen) override {
    for (size_t i = 0; i < steps_.size(); ++i) {
      const Step& s = steps_[i];
      const std::string step = "steps." + std::to_string(i);
      x_BTV = narrow_step(x_BTV, s.mu * s.s_a, [&](const Tensor& z_BTV) {
        const std::vector<Tensor> qkv = linears(z_BTV, {s.W_q_DV, s.W_k_DV, s.W_v_DV});
        return linear(attend(qkv[0], qkv[1], qkv[2], s.delta), s.W_o_VD);
      });
      seen(step + ".attn", x_BTV);
      x_BTV = narrow_step(x_BTV, s.nu * s.s_t, [&](const Tensor& z_BTV) {
        return linear(layers::activate(linear(z_BTV, s.W_d_MV, s.b_M), activation_), s.W_u_VM);
      });
      seen(step, x_BTV);
    }
    return x_BTV;
  }

  layers::Activation activation_;
  std::vector<Step> steps_;
};

std::unique_ptr<Model> make(const core::Value& config, const Dims& dims, tensor::Params& params, tensor::Precision precision) {
  return std::make_unique<LinAttn>(configure<Config>(config), dims, params, precision);
}

Cost cost(const core::Value& config, const Dims& dims) {
  const auto c = configure<Config>(config);
  const Sizes n(c, dims);
  const auto N = static_cast<double>(c.num_steps), D = static_cast<double>(c.state_dim), M = static_cast<double>(c.inner_dim);
  return cost_of(N * (4 * n.V * D + 2 * n.V * M), N * n.T * D, N * (6 * n.V + 4 * D + 2 * M));
}

constexpr Preset presets[] = {{"trainer", ""},
                              {"constructor", ""},
                              {"settings", ""},
                              {"reference", "activation_fallback=true"},
                              {"historical", "activation_fallback=true reversed_mask=true rms_eps=0.0078125"}};

}  // namespace

ASSAY_ARCHITECTURE(v9_linattn){
    .name = "v9_linattn",
    .aliases = "v9_meta meta v9",
    .family = "vocabulary space",
    .mixer = "decay linear attention, dense projections",
    .transform = "MLP through a bottleneck",
    .summary = "linear attention with a decay between dense codes of the vocabulary state, then an MLP",
    .source = "vocabulary-space family, variant 9",
    .equations = "x = rho(onehot(u));  N times:\n"
                 "  z = rho(x);  x += mu s_a DLA(z W_q^T, z W_k^T, z W_v^T) W_o^T\n"
                 "  z = rho(x);  x += nu s_t act(z W_d^T + b) W_u^T\n"
                 "DLA(q, k, v)_t = sum_{s<t} sigmoid(delta)^(t-s-1) (q_t.k_s) v_s\n"
                 "logits = c tanh(gamma rho(x) / c)",
    .notes = "Published: 5.13 nats (3.04 bits per byte) after 384 updates in 600 s, with the corrected mask: trustworthy, the best of the\n"
             "variants without an embedding. The earlier figure of 3.26 (and 6.55 nats of the longest run) is from before the fix.",
    .presets = presets,
    .schema = &Config::schema,
    .new_config = &new_config<Config>,
    .make = &make,
    .cost = &cost};

}  // namespace assay::arch::vocab
