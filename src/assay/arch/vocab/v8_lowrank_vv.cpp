// v8: decay attention between whole vocabulary vectors, then a low-rank plus diagonal map from the vocabulary to itself.
// Source: the vocabulary-space family, variant 8 (published as v8_graph, "word graph").
#include <ATen/ops/flip.h>

#include "assay/arch/vocab/skeleton.h"
#include "assay/layers/activation.h"
#include "assay/ops/decay_attention/decay_attention.h"
#include "assay/ops/normalize/normalize.h"
#include "assay/ops/residual/residual.h"

namespace assay::arch::vocab {
namespace {

using tensor::constant;
using tensor::normal;

struct Config {
  int64_t vocab_size = 0, num_hops = 8, interaction_rank = 8;
  double logit_softcap = 30, decay_init = 3, rms_eps = 1.1920928955078125e-07, score_scale = 1;
  std::string activation = "gelu";
  bool activation_fallback = false, reversed_mask = false;

  static const core::Schema& schema() {
    using core::option;
    static const core::Schema s = core::declare<Config>(
        "model",
        {
            option("vocab_size", &Config::vocab_size, "vocabulary and width of the state; 0 = the data's", 0, 65536).env("VOCAB_SIZE"),
            option("num_hops", &Config::num_hops, "recurrent steps N", 1, 1024).env("NUM_STEPS"),
            option("interaction_rank", &Config::interaction_rank, "rank r of the V x V map", 1, 4096).env("INTERACTION_RANK"),
            option("logit_softcap", &Config::logit_softcap, "logits stay within +-c", 1e-3, 1e6).env("LOGIT_SOFTCAP"),
            option("decay_init", &Config::decay_init, "initial decay logit", -40, 40).env("DECAY_INIT"),
            option("activation", &Config::activation, "gelu, relu, relu2 or swish").env("ACTIVATION"),
            option("rms_eps", &Config::rms_eps, "epsilon of the norms (2^-7 in the recorded GPU runs)", 0, 1),
            option("score_scale", &Config::score_scale, "factor on the attention scores; 1/V keeps the first hops small", 0, 1e6),
            option("activation_fallback", &Config::activation_fallback, "compatibility: an unknown activation name means gelu"),
            option("reversed_mask", &Config::reversed_mask, "compatibility: attend to the FUTURE (s > t), as before the published fix"),
        });
    return s;
  }
};

//   x <- x + mu s_p DLA(z q, z k, z; sigmoid(delta)),              z = rho(x)
//   x <- x + nu s_w act((z U) V^T + z diag + bias),                z = rho(x)
struct Hop {
  Tensor q_scale_V, k_scale_V, decay_logit, prop_out_scale;  // q, k, delta, s_p
  Tensor U_VR, V_VR, diag_V, bias_V, int_out_scale;          // U, V_m, diag, bias, s_w
  Tensor prop_scale, interact_scale;                         // mu, nu
};

class LowRankVV final : public Skeleton {
 public:
  LowRankVV(const Config& c, const Dims& dims, tensor::Params& p, tensor::Precision precision)
      : Skeleton({vocabulary(c.vocab_size, dims), c.logit_softcap, c.rms_eps}, precision),
        config_(c),
        activation_(layers::pointwise(layers::activation_from(c.activation, c.activation_fallback))) {
    const int64_t V = vocab_size(), R = c.interaction_rank;
    for (int64_t i = 0; i < c.num_hops; ++i) {
      const std::string hop = "hops." + std::to_string(i) + ".", prop = hop + "propagation.", inter = hop + "interaction.";
      hops_.push_back({p.add(prop + "q_scale", {V}, constant(1)), p.add(prop + "k_scale", {V}, constant(1)),
                       p.add(prop + "decay_logit", {}, constant(c.decay_init)), p.add(prop + "out_scale", {}, constant(0.1)),
                       p.add(inter + "U", {V, R}, normal(0.02)), p.add(inter + "V", {V, R}, normal(0.02)),
                       p.add(inter + "diag", {V}, constant(0)), p.add(inter + "bias", {V}, constant(0)),
                       p.add(inter + "out_scale", {}, constant(0.1)), p.add(hop + "prop_scale", {1}, constant(1)),
                       p.add(hop + "interact_scale", {1}, constant(1))});
    }
    finish(p);
  }

 private:
  Tensor steps(Tensor x_BTV, const Observer& seen) override {
    for (size_t i = 0; i < hops_.size(); ++i) {
      const Hop& h = hops_[i];
      const std::string hop = "hops." + std::to_string(i);
      x_BTV = propagate(h, x_BTV);
      seen(hop + ".propagation", x_BTV);
      x_BTV = interact(h, x_BTV);
      seen(hop, x_BTV);
    }
    return x_BTV;
  }

  // (z_t q).(z_s k) = (z_t q k).z_s: both diagonals on one side, so that keys and values are the state itself.
  Tensor propagate(const Hop& h, const Tensor& x_BTV) const {
    const auto in_time = [&](const Tensor& t) { return config_.reversed_mask ? at::flip(t, {1}) : t; };
    Tensor diagonal = h.q_scale_V * h.k_scale_V;
    if (config_.score_scale != 1) diagonal = diagonal * config_.score_scale;
    const auto [z_BTV, scaled_BTV, x] = ops::normalize(x_BTV, diagonal, common().rms_eps, narrow(x_BTV));
    const Tensor z = in_time(z_BTV).unsqueeze(1), q = in_time(scaled_BTV).unsqueeze(1);  // one head: [B, 1, T, V]
    const Tensor o = in_time(ops::decay_attention(q, z, z, h.decay_logit.view({1}), precision() == tensor::Precision::bf16).squeeze(1));
    return ops::residual(x, {.m = o}, h.prop_scale * h.prop_out_scale);
  }

  Tensor interact(const Hop& h, const Tensor& x_BTV) const {
    const auto [z_BTV, unscaled, x] = ops::normalize(x_BTV, {}, common().rms_eps, narrow(x_BTV));
    const Tensor z_NV = z_BTV.reshape({-1, z_BTV.size(-1)});
    const Tensor mixed = tensor::product(tensor::product(z_NV, h.U_VR, precision()), h.V_VR.t(), precision());
    const ops::Branch branch{.m = mixed.view(z_BTV.sizes()), .bias = h.bias_V, .diag = h.diag_V, .z = z_BTV, .activation = activation_};
    return ops::residual(x, branch, h.interact_scale * h.int_out_scale);
  }

  Config config_;
  ops::Pointwise activation_;
  std::vector<Hop> hops_;
};

std::unique_ptr<Model> make(const core::Value& config, const Dims& dims, tensor::Params& params, tensor::Precision precision) {
  return std::make_unique<LowRankVV>(configure<Config>(config), dims, params, precision);
}

// MACs a token and hop: 2TV for the quadratic form (half of it causal: TV), 2Vr + 2V for the map.
Cost cost(const core::Value& config, const Dims& dims) {
  const auto c = configure<Config>(config);
  const double V = static_cast<double>(vocabulary(c.vocab_size, dims)), T = static_cast<double>(dims.seq_len),
               N = static_cast<double>(c.num_hops), r = static_cast<double>(c.interaction_rank);
  const double attention = T * V, map = 2 * V * r + 2 * V;
  return {2 * N * (attention + map), 2 * N * (3.5 * attention + 3 * map), 4 * N * 8 * V};
}

}  // namespace

ASSAY_ARCHITECTURE(v8_lowrank_vv){
    .name = "v8_lowrank_vv",
    .aliases = "v8_graph graph v8",
    .family = "vocabulary space",
    .mixer = "decay linear attention in vocabulary space, diagonal queries and keys",
    .transform = "low-rank + diagonal V x V map",
    .summary = "every state is a vector over the vocabulary; one hop copies along decayed similarity, one maps words to words",
    .source = "vocabulary-space family, variant 8",
    .equations = "x = rho(onehot(u));  N times:\n"
                 "  z = rho(x);  x += mu s_p sum_{s<t} sigmoid(delta)^(t-s-1) ((z_t q).(z_s k)) z_s\n"
                 "  z = rho(x);  x += nu s_w act((z U) V^T + z diag + bias)\n"
                 "logits = c tanh(gamma rho(x) / c)",
    .schema = &Config::schema,
    .new_config = &new_config<Config>,
    .make = &make,
    .cost = &cost};

}  // namespace assay::arch::vocab
