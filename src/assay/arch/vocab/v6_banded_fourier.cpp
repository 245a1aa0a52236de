// v6: slow attention on low frequencies of the vocabulary gates fast attention on high ones; then three bands of channels.
// Source: the vocabulary-space family, variant 6 (published as v6_wave, "brain wave").
#include <ATen/ops/cat.h>
#include <ATen/ops/sigmoid.h>

#include <numeric>
#include <utility>

#include "assay/arch/vocab/fourier.h"
#include "assay/arch/vocab/skeleton.h"
#include "assay/core/error.h"

namespace assay::arch::vocab {
namespace {

using tensor::constant;
using tensor::normal;

struct Config : CommonOptions, ActivationOptions, FourierOptions, ScoreOptions {
  int64_t num_cycles = 8;
  double slow_decay_init = 4, fast_decay_init = 2;
  std::vector<int64_t> band_split = {4, 4, 8};

  static const core::Schema& schema() {
    using core::option;
    static const core::Schema s = declare<Config>({
        option("num_cycles", &Config::num_cycles, "recurrent steps N", 1, 1024).env("NUM_STEPS"),
        option("slow_decay_init", &Config::slow_decay_init, "initial decay logit of the low band", -40, 40).env("SLOW_DECAY_INIT"),
        option("fast_decay_init", &Config::fast_decay_init, "initial decay logit of the high band", -40, 40).env("FAST_DECAY_INIT"),
        option("band_split", &Config::band_split, "harmonics of the low, middle and high band; together n_fourier_basis", 1, 32768)
            .env("BAND_SPLIT"),
    });
    return s;
  }
};

// Attention within a band of the table: queries, keys and values are averages over the vocabulary, written back linearly.
//   r = DLA(z softmax_v(Phi_b A_q^T), z softmax_v(Phi_b A_k^T), z softmax_v(Phi_b A_v^T); sigmoid(delta)),    s r (Phi_b A_o^T)^T
struct BandMemory {
  Tensor A_q_CF, A_k_CF, A_v_CF, A_o_CF, delta, s;
};

//   z = rho(x);  r_H <- sigmoid(r_L W_tg + b_tg) r_H;   x <- x + m_s s_L r_L (Phi_L A_o^T)^T + m_f s_H r_H (Phi_H A_o^T)^T
//   z = rho(x);  h_b = act((z R_b) M_b + c_b);  h_H <- sigmoid(h_L W_a + b_a) h_H;   x <- x + sum_b p_b t_b h_b (Phi_b A_w^T)^T
struct Cycle {
  BandMemory slow, fast;
  ChannelMix low, mid, high;
  Tensor W_tg_CC, b_tg_C, W_a_CC, b_a_C;
  Tensor m_s, m_f, p_low, p_mid, p_high;
};

class BandedFourier final : public Skeleton {
 public:
  BandedFourier(const Config& c, const Dims& dims, tensor::Params& p, tensor::Precision precision)
      : Skeleton(c, vocabulary(c.vocab_size, dims), p, precision, c),
        activation_(layers::activation_from(c.activation, c.activation_fallback)) {
    const auto& n = c.band_split;
    if (n.size() != 3 || std::accumulate(n.begin(), n.end(), int64_t{0}) != c.n_fourier_basis)
      throw core::ConfigError("model", "band_split must be three numbers of harmonics with the sum n_fourier_basis=" +
                                           std::to_string(c.n_fourier_basis) + ", e.g. 4,4,8 for 16");
    const Tensor Phi_VF = table(fourier_table(vocab_size(), c.n_fourier_basis));
    Phi_L_ = Phi_VF.narrow(1, 0, 2 * n[0]).contiguous();
    Phi_M_ = Phi_VF.narrow(1, 2 * n[0], 2 * n[1]).contiguous();
    Phi_H_ = Phi_VF.narrow(1, 2 * (n[0] + n[1]), 2 * n[2]).contiguous();
    Phi_LH_ = at::cat({Phi_L_, Phi_H_}, 1);
    Phi_LMH_ = Phi_VF;
    const int64_t C = c.n_channels, L = Phi_L_.size(1), M = Phi_M_.size(1), H = Phi_H_.size(1);
    for (int64_t i = 0; i < c.num_cycles; ++i) {
      const std::string cycle = "cycles." + std::to_string(i) + ".";
      const auto gain = [&](const char* name) { return p.add(cycle + name, {1}, constant(1)); };
      const auto square = [&](const char* name) { return p.add(cycle + name, {C, C}, normal(0.02)); };
      const auto bias = [&](const char* name) { return p.add(cycle + name, {C}, constant(0)); };
      cycles_.push_back({memory(p, cycle + "slow_mem.", C, L, c.slow_decay_init), memory(p, cycle + "fast_mem.", C, H, c.fast_decay_init),
                         ChannelMix(p, cycle + "low_op.", C, L), ChannelMix(p, cycle + "mid_op.", C, M),
                         ChannelMix(p, cycle + "high_op.", C, H), square("tg_gate_w"), bias("tg_gate_b"), square("alpha_gate_w"),
                         bias("alpha_gate_b"), gain("mem_slow_scale"), gain("mem_fast_scale"), gain("op_low_scale"), gain("op_mid_scale"),
                         gain("op_high_scale")});
    }
    finish(p);
  }

 private:
  static BandMemory memory(tensor::Params& p, const std::string& prefix, int64_t C, int64_t F, double decay_init) {
    const auto coeffs = [&](const char* which) { return p.add(prefix + which + "_proj.coeffs", {C, F}, normal(0.02)); };
    return {coeffs("query"),
            coeffs("key"),
            coeffs("value"),
            coeffs("output"),
            p.add(prefix + "decay_logit", {}, constant(decay_init)),
            p.add(prefix + "out_scale", {}, constant(0.1))};
  }

  Tensor steps(Tensor x_BTV, const Observer& seen) override {
    for (size_t i = 0; i < cycles_.size(); ++i) {
      const Cycle& c = cycles_[i];
      const std::string cycle = "cycles." + std::to_string(i);
      x_BTV = narrow_step(x_BTV, [&](const Tensor& z_BTV) { return remember(c, z_BTV); });
      seen(cycle + ".memory", x_BTV);
      x_BTV = narrow_step(x_BTV, [&](const Tensor& z_BTV) { return transform(c, z_BTV); });
      seen(cycle, x_BTV);
    }
    return x_BTV;
  }

  Tensor gate(const Tensor& y_BTC, const Tensor& W_CC, const Tensor& b_C) const { return at::sigmoid(times(y_BTC, W_CC) + b_C); }

  // What the bands write goes through their columns of the table at once.
  Tensor remember(const Cycle& c, const Tensor& z_BTV) {
    std::vector<Tensor> averages;
    for (const auto& [m, Phi_VF] : {std::pair<const BandMemory&, const Tensor&>{c.slow, Phi_L_}, {c.fast, Phi_H_}})
      for (const Tensor& A_CF : {m.A_q_CF, m.A_k_CF, m.A_v_CF}) averages.push_back(softmax_over_vocabulary(Phi_VF, A_CF));
    const std::vector<Tensor> y = linears(z_BTV, averages);
    const Tensor r_L = attend(y[0], y[1], y[2], c.slow.delta),
                 r_H = gate(r_L, c.W_tg_CC, c.b_tg_C) * attend(y[3], y[4], y[5], c.fast.delta);
    const auto spectrum = [&](const BandMemory& m, const Tensor& r, const Tensor& gain) { return times(r, m.A_o_CF) * (gain * m.s); };
    return written({spectrum(c.slow, r_L, c.m_s), spectrum(c.fast, r_H, c.m_f)}, Phi_LH_, z_BTV);
  }

  Tensor transform(const Cycle& c, const Tensor& z_BTV) const {
    const std::vector<Tensor> r = linears(z_BTV, {c.low.reader(Phi_L_), c.mid.reader(Phi_M_), c.high.reader(Phi_H_)});
    const auto hidden = [&](const ChannelMix& mix, const Tensor& r_BTC) { return mix.mixed(r_BTC, activation_, precision()); };
    const Tensor h_L = hidden(c.low, r[0]), h_M = hidden(c.mid, r[1]), h_H = gate(h_L, c.W_a_CC, c.b_a_C) * hidden(c.high, r[2]);
    return written({c.low.spectrum(h_L * c.p_low, precision()), c.mid.spectrum(h_M * c.p_mid, precision()),
                    c.high.spectrum(h_H * c.p_high, precision())},
                   Phi_LMH_, z_BTV);
  }

  Tensor written(const std::vector<Tensor>& spectra, const Tensor& Phi_VF, const Tensor& like) const {
    return linear(at::cat(spectra, -1).to(like.scalar_type()), Phi_VF);
  }

  layers::Activation activation_;
  Tensor Phi_L_, Phi_M_, Phi_H_, Phi_LH_, Phi_LMH_;  // columns of the table by bands
  std::vector<Cycle> cycles_;
};

std::unique_ptr<Model> make(const core::Value& config, const Dims& dims, tensor::Params& params, tensor::Precision precision) {
  return std::make_unique<BandedFourier>(configure<Config>(config), dims, params, precision);
}

Cost cost(const core::Value& config, const Dims& dims) {
  const auto c = configure<Config>(config);
  const Sizes n(c, dims);
  const auto N = static_cast<double>(c.num_cycles), C = static_cast<double>(c.n_channels), F = 2 * static_cast<double>(c.n_fourier_basis);
  const double memories = 6 * n.V * C + (C + n.V) * F, mixes = 3 * n.V * C + 3 * C * C + (C + n.V) * F, gates = 2 * C * C;
  return cost_of(N * (memories + mixes + gates), N * 2 * n.T * C, N * (4 * n.V + 20 * C));
}

constexpr Preset presets[] = {{"trainer", ""},
                              {"constructor", ""},
                              {"settings", ""},
                              {"reference", "activation_fallback=true"},
                              {"historical", "activation_fallback=true reversed_mask=true rms_eps=0.0078125"}};

}  // namespace

ASSAY_ARCHITECTURE(v6_banded_fourier){
    .name = "v6_banded_fourier",
    .aliases = "v6_wave wave v6",
    .family = "vocabulary space",
    .mixer = "two decay linear attentions in bands of the Fourier table, the slow one gating the fast one",
    .transform = "three gated channel mixes, one a band",
    .summary = "slow attention on low frequencies of the vocabulary gates fast attention on high ones; channels in three bands",
    .source = "vocabulary-space family, variant 6",
    .equations = "x = rho(onehot(u));  N times, Phi in bands L, M, H:\n"
                 "  z = rho(x);  r_b = DLA(z S_b(A_q), z S_b(A_k), z S_b(A_v)),  S_b(A) = softmax_v(Phi_b A^T),  b = L, H\n"
                 "  r_H = sigmoid(r_L W_tg + b_tg) r_H;  x += m_s s_L r_L (Phi_L A_o^T)^T + m_f s_H r_H (Phi_H A_o^T)^T\n"
                 "  z = rho(x);  h_b = act((z S_b(A_r)) M_b + c_b);  h_H = sigmoid(h_L W_a + b_a) h_H\n"
                 "  x += sum_b p_b t_b h_b (Phi_b A_w^T)^T\n"
                 "DLA(q, k, v)_t = sum_{s<t} sigmoid(delta)^(t-s-1) (q_t.k_s) v_s\n"
                 "logits = c tanh(gamma rho(x) / c)",
    .notes =
        "Published: third best, 5.66 nats (3.35 bits per byte) after 166 updates. Not trustworthy: the mask was reversed, and the stored\n"
        "weights use the leak. Queries, keys and values are averages over the vocabulary, so at the start a cycle moves the state by 0.3 "
        "%.",
    .presets = presets,
    .schema = &Config::schema,
    .new_config = &new_config<Config>,
    .make = &make,
    .cost = &cost};

}  // namespace assay::arch::vocab
