// v4: few unique steps, each invoked several times; multi-head cosine attention with queries and keys shared by all of them.
// Source: the vocabulary-space family, variant 4 (published as v4_golf).
#include <ATen/ops/addcmul.h>
#include <ATen/ops/linalg_vector_norm.h>

#include "assay/arch/vocab/fourier.h"
#include "assay/arch/vocab/skeleton.h"
#include "assay/core/error.h"

namespace assay::arch::vocab {
namespace {

using tensor::constant;
using tensor::normal;

struct Config : CommonOptions, ActivationOptions, FourierOptions, ScoreOptions {
  int64_t unique_steps = 5, invocations_per_step = 2, n_heads = 4, transform_rank = 8;
  double decay_first = 1, decay_last = 5, decay_init = 3;

  static const core::Schema& schema() {
    using core::option;
    static const core::Schema s = declare<Config>({
        option("unique_steps", &Config::unique_steps, "steps with weights of their own, U", 1, 1024).env("UNIQUE_STEPS"),
        option("invocations_per_step", &Config::invocations_per_step, "times that each is applied in a row, I", 1, 1024)
            .env("INVOCATIONS_PER_STEP"),
        option("n_heads", &Config::n_heads, "attention heads H; divides n_channels", 1, 1024).env("N_HEADS"),
        option("transform_rank", &Config::transform_rank, "rank of the channel map beside its diagonal", 1, 65536).env("TRANSFORM_RANK"),
        option("decay_first", &Config::decay_first, "initial decay logit of the first head", -40, 40),
        option("decay_last", &Config::decay_last, "initial decay logit of the last head; those between are evenly spaced", -40, 40),
        option("decay_init", &Config::decay_init, "accepted as in the published constructor, where it sets nothing", -40, 40)
            .env("DECAY_INIT")
            .neutral(),
    });
    return s;
  }
};

//   q = unit(z Q), k = unit(z K), v = z Phi A_v^T,    z = rho(x);  Q = Phi A_Q^T, K = Phi A_K^T
//   x <- x + w_mem mu s_m concat_h DLA(q_h, k_h, v_h; sigmoid(delta_h + Delta_h)) (Phi A_o^T)^T
//   x <- x + w_op nu s act((z R) diag + ((z R) P_down) P_up + b) (Phi A_w^T)^T,    z = rho(x)
//   x <- w_out x
struct Step {
  Tensor A_v_CF, A_o_CF, delta_H, s_m;
  Tensor A_r_CF, A_w_CF, diag_C, P_down_CR, P_up_RC, b_C, s;
  Tensor mu, nu;
};

class WeightShared final : public Skeleton {
 public:
  WeightShared(const Config& c, const Dims& dims, tensor::Params& p, tensor::Precision precision)
      : Skeleton(c, vocabulary(c.vocab_size, dims), p, precision, c),
        config_(c),
        activation_(layers::activation_from(c.activation, c.activation_fallback)),
        Phi_VF_(table(fourier_table(vocab_size(), c.n_fourier_basis))) {
    const int64_t C = c.n_channels, F = 2 * c.n_fourier_basis, H = c.n_heads, R = c.transform_rank,
                  UI = c.unique_steps * c.invocations_per_step;
    if (C % H != 0) throw core::ConfigError("model", "n_heads=" + std::to_string(H) + " does not divide n_channels=" + std::to_string(C));
    A_Q_CF_ = p.add("shared_query_proj.coeffs", {C, F}, normal(0.02));
    A_K_CF_ = p.add("shared_key_proj.coeffs", {C, F}, normal(0.02));
    for (int64_t u = 0; u < c.unique_steps; ++u) {
      const std::string step = "steps." + std::to_string(u) + ".", memory = step + "memory.", op = step + "register_op.";
      steps_.push_back({p.add(memory + "value_proj.coeffs", {C, F}, normal(0.02)),
                        p.add(memory + "output_proj.coeffs", {C, F}, normal(0.02)), p.add(memory + "decay_logits", {H}, constant(0)),
                        p.add(memory + "out_scale", {}, constant(0.1)), p.add(op + "read_coeffs", {C, F}, normal(0.02)),
                        p.add(op + "write_coeffs", {C, F}, normal(0.02)), p.add(op + "diag", {C}, constant(0.02)),
                        p.add(op + "mix_down", {C, R}, normal(0.02)), p.add(op + "mix_up", {R, C}, normal(0.02)),
                        p.add(op + "bias", {C}, constant(0)), p.add(op + "out_scale", {}, constant(0.1)),
                        p.add(step + "mem_scale", {1}, constant(1)), p.add(step + "op_scale", {1}, constant(1))});
      for (int64_t h = 0; h < H; ++h)
        steps_.back().delta_H[h].fill_(
            H == 1 ? c.decay_first : c.decay_first + (c.decay_last - c.decay_first) * static_cast<double>(h) / static_cast<double>(H - 1));
    }
    for (int64_t n = 0; n < UI; ++n) Delta_H_.push_back(p.add("inv_decay_overrides." + std::to_string(n), {H}, constant(0)));
    w_mem_ = p.add("inv_mem_scale_override", {UI}, constant(1));
    w_op_ = p.add("inv_op_scale_override", {UI}, constant(1));
    w_out_ = p.add("inv_out_scale_override", {UI}, constant(1));
    finish(p);
  }

 private:
  Tensor steps(Tensor x_BTV, const Observer& seen) override {
    for (int64_t n = 0; n < config_.unique_steps * config_.invocations_per_step; ++n) {
      const Step& s = steps_[static_cast<size_t>(n / config_.invocations_per_step)];
      const std::string name = "invocations." + std::to_string(n);
      const Tensor& Delta_H = Delta_H_[static_cast<size_t>(n)];
      x_BTV = half_step(x_BTV, w_mem_[n] * s.mu * s.s_m, [&](const Tensor& z_BTV) { return remember(s, Delta_H, z_BTV); });
      seen(name + ".memory", x_BTV);
      x_BTV = half_step(x_BTV, w_op_[n] * s.nu * s.s, [&](const Tensor& z_BTV) { return transform(s, z_BTV); }) * w_out_[n];
      seen(name, x_BTV);
    }
    return x_BTV;
  }

  Tensor remember(const Step& s, const Tensor& Delta_H, const Tensor& z_BTV) {
    const int64_t B = z_BTV.size(0), T = z_BTV.size(1), H = config_.n_heads, C = config_.n_channels;
    const Tensor u_BTF = times(z_BTV, Phi_VF_);
    const auto unit = [](const Tensor& y) { return y / at::linalg_vector_norm(y, 2, {-1}, true).clamp_min(1e-12); };  // over all channels
    const auto heads = [&](const Tensor& y) { return y.view({B, T, H, C / H}).transpose(1, 2); };
    const Tensor o = attend(heads(unit(linear(u_BTF, A_Q_CF_))), heads(unit(linear(u_BTF, A_K_CF_))), heads(linear(u_BTF, s.A_v_CF)),
                            s.delta_H + Delta_H);
    return linear(times(o.transpose(1, 2).reshape({B, T, C}), s.A_o_CF), Phi_VF_);
  }

  Tensor transform(const Step& s, const Tensor& z_BTV) const {
    const Tensor r_BTC = linear(z_BTV, softmax_over_vocabulary(Phi_VF_, s.A_r_CF));
    const Tensor mixed_BTC = at::addcmul(times(times(r_BTC, s.P_down_CR), s.P_up_RC) + s.b_C, r_BTC, s.diag_C);
    return linear(times(layers::activate(mixed_BTC, activation_), s.A_w_CF), Phi_VF_);
  }

  Config config_;
  layers::Activation activation_;
  Tensor Phi_VF_, A_Q_CF_, A_K_CF_, w_mem_, w_op_, w_out_;
  std::vector<Step> steps_;
  std::vector<Tensor> Delta_H_;
};

std::unique_ptr<Model> make(const core::Value& config, const Dims& dims, tensor::Params& params, tensor::Precision precision) {
  return std::make_unique<WeightShared>(configure<Config>(config), dims, params, precision);
}

Cost cost(const core::Value& config, const Dims& dims) {
  const auto c = configure<Config>(config);
  const Sizes n(c, dims);
  const auto N = static_cast<double>(c.unique_steps * c.invocations_per_step), C = static_cast<double>(c.n_channels),
             F = 2 * static_cast<double>(c.n_fourier_basis), R = static_cast<double>(c.transform_rank);
  return cost_of(N * (3 * n.V * F + 5 * C * F + n.V * C + C + 2 * C * R), N * n.T * C, N * (7 * n.V + 10 * C));
}

constexpr Preset presets[] = {{"trainer", ""},
                              {"constructor", ""},
                              {"settings", ""},
                              {"reference", "activation_fallback=true"},
                              {"historical", "activation_fallback=true reversed_mask=true rms_eps=0.0078125"}};

}  // namespace

ASSAY_ARCHITECTURE(v4_weight_shared){
    .name = "v4_weight_shared",
    .aliases = "v4_golf v4",
    .family = "vocabulary space",
    .mixer = "multi-head decay linear attention, queries and keys of unit length shared by all steps",
    .transform = "factored Fourier channel mix",
    .summary = "the smallest: five unique steps, each applied twice, with one pair of query and key maps for all",
    .source = "vocabulary-space family, variant 4",
    .equations = "x = rho(onehot(u));  invocation n = u I + j of step u:\n"
                 "  z = rho(x);  q = unit(z Phi A_Q^T),  k = unit(z Phi A_K^T),  v = z Phi A_v^T\n"
                 "  x += w_mem mu s_m concat_h DLA(q_h, k_h, v_h; delta_h + Delta_nh) (Phi A_o^T)^T\n"
                 "  r = z R,  z = rho(x);  x += w_op nu s act(r diag + (r P_down) P_up + b) (Phi A_w^T)^T\n"
                 "  x = w_out x\n"
                 "DLA(q, k, v; delta)_t = sum_{s<t} sigmoid(delta)^(t-s-1) (q_t.k_s) v_s\n"
                 "logits = c tanh(gamma rho(x) / c)",
    .notes =
        "Published: \"trained, not competitive\", from a run without a log before the mask was corrected (3.65 bits per byte in an old "
        "text);\n"
        "nothing trustworthy exists. Its depth does not depend on NUM_STEPS, and DECAY_INIT sets nothing: decay_first and decay_last do.",
    .presets = presets,
    .schema = &Config::schema,
    .new_config = &new_config<Config>,
    .make = &make,
    .cost = &cost};

}  // namespace assay::arch::vocab
