// v3: decay attention whose projections are smooth functions over the vocabulary, then a mix of smooth channels.
// Source: the vocabulary-space family, variant 3 (published as v3_assoc, "associative memory").

#include "assay/arch/vocab/fourier.h"
#include "assay/arch/vocab/skeleton.h"

namespace assay::arch::vocab {
namespace {

using tensor::constant;
using tensor::normal;

struct Config : CommonOptions, ActivationOptions, FourierOptions, ScoreOptions, DecayOptions {
  int64_t num_steps = 8;

  static const core::Schema& schema() {
    static const core::Schema s =
        declare<Config>({core::option("num_steps", &Config::num_steps, "recurrent steps N", 1, 1024).env("NUM_STEPS")});
    return s;
  }
};

//   x <- x + mu s_m DLA(z W_q, z W_k, z W_v; sigmoid(delta)) W_o^T,   z = rho(x),   W = Phi A^T
//   x <- x + nu FCM(rho(x))
struct Step {
  Tensor A_q_CF, A_k_CF, A_v_CF, A_o_CF, delta, s_m, mu, nu;
  ChannelMix fcm;
};

class FourierLinAttn final : public Skeleton {
 public:
  FourierLinAttn(const Config& c, const Dims& dims, tensor::Params& p, tensor::Precision precision)
      : Skeleton(c, vocabulary(c.vocab_size, dims), p, precision, c),
        activation_(layers::activation_from(c.activation, c.activation_fallback)),
        Phi_VF_(table(fourier_table(vocab_size(), c.n_fourier_basis))) {
    const int64_t C = c.n_channels, F = 2 * c.n_fourier_basis;
    for (int64_t i = 0; i < c.num_steps; ++i) {
      const std::string step = "steps." + std::to_string(i) + ".", memory = step + "memory.";
      const auto coeffs = [&](const char* which) { return p.add(memory + which + "_proj.coeffs", {C, F}, normal(0.02)); };
      steps_.push_back({coeffs("query"), coeffs("key"), coeffs("value"), coeffs("output"),
                        p.add(memory + "decay_logit", {}, constant(c.decay_init)), p.add(memory + "out_scale", {}, constant(0.1)),
                        p.add(step + "mem_scale", {1}, constant(1)), p.add(step + "op_scale", {1}, constant(1)),
                        ChannelMix(p, step + "register_op.", C, F)});
    }
    finish(p);
  }

 private:
  Tensor steps(Tensor x_BTV, const Observer& seen) override {
    for (size_t i = 0; i < steps_.size(); ++i) {
      const Step& s = steps_[i];
      const std::string step = "steps." + std::to_string(i);
      x_BTV = half_step(x_BTV, s.mu * s.s_m, [&](const Tensor& z_BTV) { return remember(s, z_BTV); });
      seen(step + ".memory", x_BTV);
      x_BTV = narrow_step(x_BTV, s.nu, [&](const Tensor& z_BTV) { return s.fcm(z_BTV, Phi_VF_, activation_, precision()); });
      seen(step, x_BTV);
    }
    return x_BTV;
  }

  // z W = (z Phi) A^T: the table first, which all projections share.
  Tensor remember(const Step& s, const Tensor& z_BTV) {
    const Tensor u_BTF = times(z_BTV, Phi_VF_);
    const Tensor o_BTC = attend(linear(u_BTF, s.A_q_CF), linear(u_BTF, s.A_k_CF), linear(u_BTF, s.A_v_CF), s.delta);
    return linear(times(o_BTC, s.A_o_CF), Phi_VF_);
  }

  layers::Activation activation_;
  Tensor Phi_VF_;
  std::vector<Step> steps_;
};

std::unique_ptr<Model> make(const core::Value& config, const Dims& dims, tensor::Params& params, tensor::Precision precision) {
  return std::make_unique<FourierLinAttn>(configure<Config>(config), dims, params, precision);
}

Cost cost(const core::Value& config, const Dims& dims) {
  const auto c = configure<Config>(config);
  const Sizes n(c, dims);
  const auto N = static_cast<double>(c.num_steps), C = static_cast<double>(c.n_channels), F = 2 * static_cast<double>(c.n_fourier_basis);
  return cost_of(N * (2 * n.V * F + 4 * C * F + channel_mix_cost(n.V, C, F)), N * n.T * C, N * (6 * n.V + 7 * C));
}

constexpr Preset presets[] = {{"trainer", ""},
                              {"constructor", ""},
                              {"settings", ""},
                              {"reference", "activation_fallback=true"},
                              {"historical", "activation_fallback=true reversed_mask=true rms_eps=0.0078125"}};

}  // namespace

ASSAY_ARCHITECTURE(v3_fourier_linattn){
    .name = "v3_fourier_linattn",
    .aliases = "v3_assoc v3",
    .family = "vocabulary space",
    .mixer = "decay linear attention, Fourier projections",
    .transform = "Fourier channel mix",
    .summary = "linear attention with a decay whose projections are smooth over the vocabulary, then a mix of smooth channels",
    .source = "vocabulary-space family, variant 3",
    .equations = "x = rho(onehot(u));  N times:\n"
                 "  z = rho(x);  x += mu s_m DLA(z W_q, z W_k, z W_v) W_o^T,  W = Phi A^T\n"
                 "  z = rho(x);  x += nu s act((z R) M + b) W^T,  R = softmax_v(Phi A_r^T),  W = Phi A_w^T\n"
                 "DLA(q, k, v)_t = sum_{s<t} sigmoid(delta)^(t-s-1) (q_t.k_s) v_s\n"
                 "logits = c tanh(gamma rho(x) / c)",
    .notes =
        "Published: 6.81 nats (4.03 bits per byte), \"stuck\", with the reversed mask; the stored weights made no use of the leak, but no "
        "causal\n"
        "run exists. Scores are not scaled: at the start the memory drowns the token (states up to 4.8e5 at T = 1024), which is why its\n"
        "initial loss is 7.5 and not 23.65; score_scale tames it.",
    .presets = presets,
    .schema = &Config::schema,
    .new_config = &new_config<Config>,
    .make = &make,
    .cost = &cost};

}  // namespace assay::arch::vocab
