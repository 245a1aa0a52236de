// v14: a gated convolution, attention in a window whose keys fade at rates of their own, and a mix of cosine channels.
// Source: the vocabulary-space family, variant 14 (published as v14_adaptive).
#include <ATen/ops/addcmul.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/sigmoid.h>

#include <cmath>

#include "assay/arch/vocab/fourier.h"
#include "assay/arch/vocab/slice.h"
#include "assay/layers/key_decay_attention.h"

namespace assay::arch::vocab {
namespace {

using tensor::constant;
using tensor::normal;

struct Config : CommonOptions, ActivationOptions, FourierOptions, ScoreOptions, DecayOptions, SliceOptions {
  int64_t num_steps = 8, kernel_size = 16;

  static const core::Schema& schema() {
    using core::option;
    static const core::Schema s = declare<Config>({
        option("num_steps", &Config::num_steps, "recurrent steps N", 1, 1024).env("NUM_STEPS"),
        option("kernel_size", &Config::kernel_size, "taps of the convolution, the present position included", 1, 1024).env("KERNEL_SIZE"),
    });
    return s;
  }
};

//   x <- x + conv_scale Conv(z) mean_j sigmoid(z G_j),                               z = rho(x)
//   g = x[read];  g <- g + mem_scale s KDA(z W_q^T / sqrt(k), z W_k^T, z W_v^T; sigmoid(z w_d + b_d)) W_o^T,  z = rho_k(g)
//   x <- x + FCM_Psi(rho(x))
//   x <- x + scatter(write_scale / sqrt(k) rho_k(g), write)
struct Step {
  Windows windows;
  Tensor W_conv, b_conv_V, G_KV, conv_scale_V;
  Tensor W_q_kk, W_k_kk, W_v_kk, W_o_kk, w_d_1k, b_d, s, mem_scale;
  ChannelMix fcm;
  Tensor write_scale;
};

class DataDependent final : public Skeleton {
 public:
  DataDependent(const Config& c, const Dims& dims, tensor::Params& p, tensor::Precision precision)
      : Skeleton(c, vocabulary(c.vocab_size, dims), p, precision, c),
        scale_(c.score_scale / std::sqrt(static_cast<double>(c.k_active))),
        activation_(layers::activation_from(c.activation, c.activation_fallback)),
        Psi_VK_(table(cosine_table(vocab_size(), c.n_fourier_basis))) {
    const int64_t V = vocab_size(), k = c.k_active, K = c.kernel_size;
    for (int64_t i = 0; i < c.num_steps; ++i) {
      const std::string step = "steps." + std::to_string(i) + ".", conv = step + "conv.", memory = step + "memory.";
      const auto square = [&](const char* name) { return p.add(memory + name, {k, k}, normal(0.02)); };
      steps_.push_back({windows_of(i, c.num_steps, V, k), p.add(conv + "weight", {V, 1, K}, normal(0.02)),
                        p.add(conv + "bias", {V}, constant(0)), p.add(conv + "gate_weight", {K, V}, constant(0)),
                        p.add(step + "conv_scale", {V}, constant(1)), square("q_proj.weight"), square("k_proj.weight"),
                        square("v_proj.weight"), square("o_proj.weight"), p.add(memory + "decay_proj.weight", {1, k}, constant(0)),
                        p.add(memory + "decay_proj.bias", {1}, constant(c.decay_init)), p.add(memory + "out_scale", {}, constant(0.1)),
                        p.add(step + "mem_scale", {1}, constant(1)), ChannelMix(p, step + "register_op.", c.n_channels, c.n_fourier_basis),
                        p.add(step + "write_scale", {}, constant(0.1))});
    }
    finish(p);
  }

 private:
  Tensor steps(Tensor x_BTV, const Observer& seen) override {
    for (size_t i = 0; i < steps_.size(); ++i) {
      const Step& s = steps_[i];
      const std::string step = "steps." + std::to_string(i);
      x_BTV = narrow_step(x_BTV, s.conv_scale_V, [&](const Tensor& z_BTV) {
        const Tensor gate_BT1 = at::sigmoid(linear(z_BTV, s.G_KV).to(x_BTV.scalar_type())).mean(-1, true);
        return convolve(z_BTV, s.W_conv, s.b_conv_V) * gate_BT1.to(z_BTV.scalar_type());
      });
      seen(step + ".conv", x_BTV);
      const Tensor read_BTk = read(x_BTV, s.windows.read), g_BTk = at::addcmul(read_BTk, s.mem_scale, remember(s, rho(read_BTk)));
      seen(step + ".memory", g_BTk);
      x_BTV = narrow_step(x_BTV, [&](const Tensor& z_BTV) { return s.fcm(z_BTV, Psi_VK_, activation_, precision()); });
      seen(step + ".mix", x_BTV);
      x_BTV = add(x_BTV, rho(g_BTk) * (s.write_scale / std::sqrt(static_cast<double>(g_BTk.size(-1)))), s.windows.write);
      seen(step, x_BTV);
    }
    return x_BTV;
  }

  Tensor remember(const Step& s, const Tensor& z_BTk) {
    const auto in_order = [&](const Tensor& t) { return in_time(t, 1); };
    const std::vector<Tensor> y = linears(z_BTk, {s.W_q_kk, s.W_k_kk, s.W_v_kk, s.w_d_1k});
    const Tensor q = in_order(y[0] * scale_);
    Tensor k = in_order(y[1]), v = in_order(y[2]), decay_logit_BT = in_order((y[3] + s.b_d).squeeze(-1));
    for (Tensor* now : {&k, &v, &decay_logit_BT}) {  // token by token: every key so far, for none can be folded into a sum
      Tensor* past = slot();
      if (past == nullptr) break;
      if (past->defined()) *now = at::cat({*past, *now}, 1);
      *past = *now;
    }
    return linear(in_order(layers::key_decay_attention(q, k, v, decay_logit_BT, position(), bf16())), s.W_o_kk) * s.s;
  }

  double scale_;
  layers::Activation activation_;
  Tensor Psi_VK_;
  std::vector<Step> steps_;
};

std::unique_ptr<Model> make(const core::Value& config, const Dims& dims, tensor::Params& params, tensor::Precision precision) {
  return std::make_unique<DataDependent>(configure<Config>(config), dims, params, precision);
}

Cost cost(const core::Value& config, const Dims& dims) {
  const auto c = configure<Config>(config);
  const Sizes n(c, dims);
  const auto N = static_cast<double>(c.num_steps), K = static_cast<double>(c.kernel_size), C = static_cast<double>(c.n_channels),
             F = static_cast<double>(c.n_fourier_basis), k = static_cast<double>(c.k_active);
  return cost_of(N * (2 * K * n.V + 4 * k * k + k + channel_mix_cost(n.V, C, F)), N * n.T * k, N * (8 * n.V + 3 * C + 8 * k + n.T));
}

constexpr Preset presets[] = {{"trainer", ""},
                              {"constructor", ""},
                              {"settings", ""},
                              {"reference", "activation_fallback=true"},
                              {"historical", "activation_fallback=true reversed_mask=true rms_eps=0.0078125"}};

}  // namespace

ASSAY_ARCHITECTURE(v14_data_dependent){
    .name = "v14_data_dependent",
    .aliases = "v14_adaptive v14_adapt adaptive v14",
    .family = "vocabulary space",
    .mixer = "gated causal convolution, and linear attention in a window whose keys fade at rates of their own",
    .transform = "cosine channel mix",
    .summary = "a gated convolution, window attention with a decay that each key chooses for itself, and a mix of cosine channels",
    .source = "vocabulary-space family, variant 14",
    .equations = "x = rho(onehot(u));  step i of N:\n"
                 "  z = rho(x);  x += conv_scale Conv(z) mean_j sigmoid(z.G_j)\n"
                 "  g = x[read_i];  z = rho(g);  g += mem_scale s KDA(z W_q^T / sqrt(k), z W_k^T, z W_v^T; z.w_d + b_d) W_o^T\n"
                 "  z = rho(x);  x += s act((z R) M + b) W^T,  R = softmax_v(Psi A_r^T),  W = Psi A_w^T\n"
                 "  x[write_i] += write_scale / sqrt(k) rho(g)\n"
                 "KDA(q, k, v; a)_t = sum_{s<t} (sigmoid(a_s) + 1e-8)^(t-s-1) (q_t.k_s) v_s\n"
                 "read_i = k ids from i floor(V/N) on,  write_i = the same V/2 further, both modulo V\n"
                 "logits = c tanh(gamma rho(x) / c)",
    .notes =
        "Published: nothing; the only recorded run crashed in set-up. A key's rate stays what it was when the key was written: this is not "
        "the\n"
        "selective decay of gated linear attention, and it has no recurrence of fixed size. The kernel gates act as one scalar a position.",
    .presets = presets,
    .schema = &Config::schema,
    .new_config = &new_config<Config>,
    .make = &make,
    .cost = &cost};

}  // namespace assay::arch::vocab
