// v5: as a spectrum: decay attention and a channel mix between the low frequencies of the vocabulary vector.
// Source: the vocabulary-space family, variant 5 (published as v5_gauss).

#include <cmath>
#include <numbers>

#include "assay/arch/vocab/skeleton.h"
#include "assay/core/error.h"

namespace assay::arch::vocab {
namespace {

using tensor::constant;
using tensor::normal;

struct Config : CommonOptions, ActivationOptions, ScoreOptions, DecayOptions {
  int64_t num_steps = 8, n_freq = 16, n_channels = 128;

  static const core::Schema& schema() {
    using core::option;
    static const core::Schema s = declare<Config>({
        option("num_steps", &Config::num_steps, "recurrent steps N", 1, 1024).env("NUM_STEPS"),
        option("n_freq", &Config::n_freq, "frequencies n that are read and written; n <= V/2", 1, 32768).env("N_FOURIER_BASIS"),
        option("n_channels", &Config::n_channels, "channels C", 1, 65536).env("N_CHANNELS"),
    });
    return s;
  }
};

// The real transform as matrices [V, 2n]: features are all real parts, then all imaginary parts, of frequencies 1..n.
struct Spectrum {
  Tensor read_VF, write_VF;  // xi(z) = z read;  syn(r) = r write^T, the inverse transform of length V
};

Spectrum spectrum(int64_t V, int64_t n) {
  if (n > V / 2)
    throw core::ConfigError("model", "n_freq=" + std::to_string(n) + " frequencies need a vocabulary of at least " + std::to_string(2 * n) +
                                         ", got vocab_size=" + std::to_string(V));
  const auto options = at::TensorOptions().dtype(at::kDouble);
  Spectrum s{at::zeros({V, 2 * n}, options), at::zeros({V, 2 * n}, options)};
  double *read = s.read_VF.data_ptr<double>(), *write = s.write_VF.data_ptr<double>();
  for (int64_t v = 0; v < V; ++v)
    for (int64_t f = 1; f <= n; ++f) {
      const double angle = 2 * std::numbers::pi * static_cast<double>(f * v % V) / static_cast<double>(V);
      const bool last = 2 * f == V;  // the bin at V/2 has no imaginary part and stands for itself alone
      const double factor = (last ? 1 : 2) / static_cast<double>(V);
      const int64_t real = v * 2 * n + f - 1, imaginary = real + n;
      read[real] = std::cos(angle);
      write[real] = factor * std::cos(angle);
      if (last) continue;
      read[imaginary] = -std::sin(angle);
      write[imaginary] = -factor * std::sin(angle);
    }
  return s;
}

//   x <- x + mu s_m syn(DLA(xi(z) A_q^T, xi(z) A_k^T, xi(z) A_v^T; sigmoid(delta)) A_o),   z = rho(x)
//   x <- x + nu s_o syn(act((xi(z) R^T) M + b) W^T),                                        z = rho(x)
struct Step {
  Tensor A_q_CF, A_k_CF, A_v_CF, A_o_CF, delta, s_m;
  Tensor R_CF, M_CC, b_C, W_FC, s_o;
  Tensor mu, nu;
};

class FftLinAttn final : public Skeleton {
 public:
  FftLinAttn(const Config& c, const Dims& dims, tensor::Params& p, tensor::Precision precision)
      : Skeleton(c, vocabulary(c.vocab_size, dims), p, precision, c),
        activation_(layers::activation_from(c.activation, c.activation_fallback)) {
    const Spectrum exact = spectrum(vocab_size(), c.n_freq);
    spectrum_ = {table(exact.read_VF), table(exact.write_VF)};
    const int64_t C = c.n_channels, F = 2 * c.n_freq;
    for (int64_t i = 0; i < c.num_steps; ++i) {
      const std::string step = "steps." + std::to_string(i) + ".", memory = step + "memory.", op = step + "register_op.";
      steps_.push_back({p.add(memory + "q_proj.weight", {C, F}, normal(0.02)), p.add(memory + "k_proj.weight", {C, F}, normal(0.02)),
                        p.add(memory + "v_proj.weight", {C, F}, normal(0.02)), p.add(memory + "o_proj.weight", {C, F}, normal(0.02)),
                        p.add(memory + "decay_logit", {}, constant(c.decay_init)), p.add(memory + "out_scale", {}, constant(0.1)),
                        p.add(op + "freq_to_ch", {C, F}, normal(0.02)), p.add(op + "channel_mix", {C, C}, normal(0.02)),
                        p.add(op + "bias", {C}, constant(0)), p.add(op + "ch_to_freq", {F, C}, normal(0.02)),
                        p.add(op + "out_scale", {}, constant(0.1)), p.add(step + "mem_scale", {1}, constant(1)),
                        p.add(step + "op_scale", {1}, constant(1))});
    }
    finish(p);
  }

 private:
  Tensor steps(Tensor x_BTV, const Observer& seen) override {
    for (size_t i = 0; i < steps_.size(); ++i) {
      const Step& s = steps_[i];
      const std::string step = "steps." + std::to_string(i);
      x_BTV = half_step(x_BTV, s.mu * s.s_m, [&](const Tensor& z_BTV) {
        const Tensor xi_BTF = times(z_BTV, spectrum_.read_VF);
        const Tensor o_BTC = attend(linear(xi_BTF, s.A_q_CF), linear(xi_BTF, s.A_k_CF), linear(xi_BTF, s.A_v_CF), s.delta);
        return synthesis(times(o_BTC, s.A_o_CF));
      });
      seen(step + ".memory", x_BTV);
      x_BTV = half_step(x_BTV, s.nu * s.s_o, [&](const Tensor& z_BTV) {
        const Tensor xi_BTF = times(z_BTV, spectrum_.read_VF);
        const Tensor h_BTC = layers::activate(times(linear(xi_BTF, s.R_CF), s.M_CC) + s.b_C, activation_);
        return synthesis(linear(h_BTC, s.W_FC));
      });
      seen(step, x_BTV);
    }
    return x_BTV;
  }

  Tensor synthesis(const Tensor& r_BTF) const { return linear(r_BTF, spectrum_.write_VF); }

  layers::Activation activation_;
  Spectrum spectrum_;
  std::vector<Step> steps_;
};

std::unique_ptr<Model> make(const core::Value& config, const Dims& dims, tensor::Params& params, tensor::Precision precision) {
  return std::make_unique<FftLinAttn>(configure<Config>(config), dims, params, precision);
}

Cost cost(const core::Value& config, const Dims& dims) {
  const auto c = configure<Config>(config);
  const Sizes n(c, dims);
  const auto N = static_cast<double>(c.num_steps), C = static_cast<double>(c.n_channels), F = 2 * static_cast<double>(c.n_freq);
  return cost_of(N * (4 * n.V * F + 6 * C * F + C * C), N * n.T * C, N * (6 * n.V + 7 * C + 4 * F));
}

constexpr Preset presets[] = {{"trainer", ""},
                              {"constructor", "n_freq=64"},
                              {"settings", ""},
                              {"reference", "activation_fallback=true"},
                              {"historical", "activation_fallback=true reversed_mask=true rms_eps=0.0078125"}};

}  // namespace

ASSAY_ARCHITECTURE(v5_fft_linattn){
    .name = "v5_fft_linattn",
    .aliases = "v5_gauss gauss v5",
    .family = "vocabulary space",
    .mixer = "decay linear attention between spectra",
    .transform = "channel mix between spectra",
    .summary = "reads and writes the vocabulary vector through its lowest frequencies, attention and channel mix alike",
    .source = "vocabulary-space family, variant 5",
    .equations = "x = rho(onehot(u));  N times, xi = real and imaginary parts of frequencies 1..n, syn its inverse transform:\n"
                 "  z = rho(x);  x += mu s_m syn(DLA(xi(z) A_q^T, xi(z) A_k^T, xi(z) A_v^T) A_o)\n"
                 "  z = rho(x);  x += nu s_o syn(act((xi(z) R^T) M + b) W^T)\n"
                 "DLA(q, k, v)_t = sum_{s<t} sigmoid(delta)^(t-s-1) (q_t.k_s) v_s\n"
                 "logits = c tanh(gamma rho(x) / c)",
    .notes =
        "Published: \"trained, not competitive\" (about 4.1 bits per byte in an old text), from a run without a log before the mask was\n"
        "corrected; nothing trustworthy exists. The constructor's 64 frequencies were not what the trainer used: 16.",
    .presets = presets,
    .schema = &Config::schema,
    .new_config = &new_config<Config>,
    .make = &make,
    .cost = &cost};

}  // namespace assay::arch::vocab
