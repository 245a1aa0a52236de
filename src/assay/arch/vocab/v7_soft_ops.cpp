// v7: a program of instructions, each a soft mixture over one shared bank of channel maps, with attention before it.
// Source: the vocabulary-space family, variant 7 (published as v7_lgp, "linear genetic programming").
#include <ATen/ops/abs.h>
#include <ATen/ops/addcmul.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tanh.h>

#include "assay/arch/vocab/fourier.h"
#include "assay/arch/vocab/skeleton.h"

namespace assay::arch::vocab {
namespace {

using tensor::constant;
using tensor::normal;

struct Config : CommonOptions, FourierOptions, ScoreOptions, DecayOptions {
  int64_t num_instructions = 8, n_ops = 8;

  static const core::Schema& schema() {
    using core::option;
    static const core::Schema s = declare<Config>({
        option("num_instructions", &Config::num_instructions, "recurrent steps N", 1, 1024).env("NUM_STEPS"),
        option("n_ops", &Config::n_ops, "maps in the bank, n; beyond 8 the functions repeat", 1, 1024).env("N_OPS"),
    });
    return s;
  }
};

//   x <- x + mu s_m DLA(z Phi A_q^T, z Phi A_k^T, z Phi A_v^T; sigmoid(delta)) (Phi A_o^T)^T,           z = rho(x)
//   x <- x + nu s (sum_i softmax(l)_i phi_i((z R) W_i + b_i)) (Phi A_w^T)^T,   R = softmax_v(Phi A_r^T),   z = rho(x)
struct Instruction {
  Tensor A_q_CF, A_k_CF, A_v_CF, A_o_CF, delta, s_m, mu;
  Tensor A_r_CF, A_w_CF, l_n, s, nu;
};

Tensor phi(int64_t i, const Tensor& y) {
  switch (i % 8) {
    case 1: return at::relu(y);
    case 2: return at::gelu(y);
    case 3: return y.square();
    case 4: return -y;
    case 5: return at::abs(y);
    case 6: return at::tanh(y);
    case 7: return at::sigmoid(y);
    default: return y;
  }
}

class SoftOps final : public Skeleton {
 public:
  SoftOps(const Config& c, const Dims& dims, tensor::Params& p, tensor::Precision precision)
      : Skeleton(c, vocabulary(c.vocab_size, dims), p, precision, c), Phi_VF_(table(fourier_table(vocab_size(), c.n_fourier_basis))) {
    const int64_t C = c.n_channels, F = 2 * c.n_fourier_basis;
    W_nCC_ = p.add("op_bank.op_weights", {c.n_ops, C, C}, normal(0.02));
    b_nC_ = p.add("op_bank.op_biases", {c.n_ops, C}, constant(0));
    for (int64_t i = 0; i < c.num_instructions; ++i) {
      const std::string step = "program." + std::to_string(i) + ".", memory = step + "memory.", instruction = step + "instruction.";
      const auto coeffs = [&](const std::string& name) { return p.add(name + "_coeffs", {C, F}, normal(0.02)); };
      program_.push_back({coeffs(memory + "q"), coeffs(memory + "k"), coeffs(memory + "v"), coeffs(memory + "o"),
                          p.add(memory + "decay_logit", {}, constant(c.decay_init)), p.add(memory + "out_scale", {}, constant(0.1)),
                          p.add(step + "mem_scale", {1}, constant(1)), coeffs(instruction + "read"), coeffs(instruction + "write"),
                          p.add(instruction + "op_logits", {c.n_ops}, constant(0)), p.add(instruction + "out_scale", {}, constant(0.1)),
                          p.add(step + "op_scale", {1}, constant(1))});
    }
    finish(p);
  }

 private:
  Tensor steps(Tensor x_BTV, const Observer& seen) override {
    for (size_t i = 0; i < program_.size(); ++i) {
      const Instruction& s = program_[i];
      const std::string step = "program." + std::to_string(i);
      x_BTV = half_step(x_BTV, s.mu * s.s_m, [&](const Tensor& z_BTV) { return remember(s, z_BTV); });
      seen(step + ".memory", x_BTV);
      x_BTV = half_step(x_BTV, s.nu * s.s, [&](const Tensor& z_BTV) { return execute(s, z_BTV); });
      seen(step, x_BTV);
    }
    return x_BTV;
  }

  Tensor remember(const Instruction& s, const Tensor& z_BTV) {
    const Tensor u_BTF = times(z_BTV, Phi_VF_);
    const Tensor o_BTC = attend(linear(u_BTF, s.A_q_CF), linear(u_BTF, s.A_k_CF), linear(u_BTF, s.A_v_CF), s.delta);
    return linear(times(o_BTC, s.A_o_CF), Phi_VF_);
  }

  Tensor execute(const Instruction& s, const Tensor& z_BTV) const {
    const Tensor r_BTC = linear(z_BTV, softmax_over_vocabulary(Phi_VF_, s.A_r_CF)), pi_n = at::softmax(s.l_n, 0);
    Tensor mixed_BTC;
    for (int64_t i = 0; i < W_nCC_.size(0); ++i) {
      const Tensor y_BTC = phi(i, times(r_BTC, W_nCC_[i]) + b_nC_[i]);
      mixed_BTC = i == 0 ? y_BTC * pi_n[i] : at::addcmul(mixed_BTC, y_BTC, pi_n[i]);
    }
    return linear(times(mixed_BTC, s.A_w_CF), Phi_VF_);
  }

  Tensor Phi_VF_, W_nCC_, b_nC_;
  std::vector<Instruction> program_;
};

std::unique_ptr<Model> make(const core::Value& config, const Dims& dims, tensor::Params& params, tensor::Precision precision) {
  return std::make_unique<SoftOps>(configure<Config>(config), dims, params, precision);
}

Cost cost(const core::Value& config, const Dims& dims) {
  const auto c = configure<Config>(config);
  const Sizes n(c, dims);
  const auto N = static_cast<double>(c.num_instructions), C = static_cast<double>(c.n_channels),
             F = 2 * static_cast<double>(c.n_fourier_basis), ops = static_cast<double>(c.n_ops);
  return cost_of(N * (3 * n.V * F + 5 * C * F + n.V * C + ops * C * C), N * n.T * C, N * (6 * n.V + (6 + 2 * ops) * C));
}

constexpr Preset presets[] = {{"trainer", ""},
                              {"constructor", "num_instructions=16 n_channels=64"},
                              {"settings", ""},
                              {"reference", ""},
                              {"historical", "reversed_mask=true rms_eps=0.0078125"}};

}  // namespace

ASSAY_ARCHITECTURE(v7_soft_ops){
    .name = "v7_soft_ops",
    .aliases = "v7_lgp lgp v7",
    .family = "vocabulary space",
    .mixer = "decay linear attention, Fourier projections",
    .transform = "softmax mixture over a bank of channel maps that all steps share",
    .summary = "each step mixes eight shared channel maps with weights of its own that do not depend on the input",
    .source = "vocabulary-space family, variant 7",
    .equations = "x = rho(onehot(u));  N times:\n"
                 "  z = rho(x);  x += mu s_m DLA(z Phi A_q^T, z Phi A_k^T, z Phi A_v^T) (Phi A_o^T)^T\n"
                 "  z = rho(x);  x += nu s (sum_i softmax(l)_i phi_i((z R) W_i + b_i)) (Phi A_w^T)^T,  R = softmax_v(Phi A_r^T)\n"
                 "phi = identity, relu, gelu, square, negate, abs, tanh, sigmoid\n"
                 "DLA(q, k, v)_t = sum_{s<t} sigmoid(delta)^(t-s-1) (q_t.k_s) v_s\n"
                 "logits = c tanh(gamma rho(x) / c)",
    .notes = "Published: 6.26 nats (3.71 bits per byte), with the reversed mask: not a figure of quality, though the stored weights made "
             "no use of\n"
             "the leak. Announced as Gumbel selection with annealing; the code mixes softly, and so does this. Loss spikes (9.35 at update "
             "161) are\n"
             "real; the unbounded square at a rate of 0.03 is a plausible cause.",
    .presets = presets,
    .schema = &Config::schema,
    .new_config = &new_config<Config>,
    .make = &make,
    .cost = &cost};

}  // namespace assay::arch::vocab
