// v15: the slice steps of v12, written in proportion to how undecided the state is, kept sparse, and each step's answer scored.
// Source: the vocabulary-space family, variant 15 (published as v15_predictive).
#include <ATen/ops/softmax.h>

#include <algorithm>
#include <cmath>

#include "assay/arch/vocab/slice.h"
#include "assay/layers/largest_entries.h"
#include "assay/layers/loss.h"

namespace assay::arch::vocab {
namespace {

struct Config : CommonOptions, ActivationOptions, ScoreOptions, DecayOptions, SliceOptions {
  int64_t num_steps = 8, inner_mul = 2, sparsity_k = 128;
  double aux_loss_weight = 0.1, aux_loss_decay = 0.9, entropy_floor = 0.1;
  bool v15_entropy = false, eval_aux_loss = false;

  static const core::Schema& schema() {
    using core::option;
    static const core::Schema s = declare<Config>({
        option("num_steps", &Config::num_steps, "recurrent steps N", 1, 1024).env("NUM_STEPS"),
        option("inner_mul", &Config::inner_mul, "width of the MLP: h = k_active times this", 1, 1024).env("INNER_MUL"),
        option("sparsity_k", &Config::sparsity_k, "entries of the state that survive a step; V or more: all", 1, 65536).env("SPARSITY_K"),
        option("aux_loss_weight", &Config::aux_loss_weight, "weight of the losses of the steps' answers; 0: none", 0, 1e3)
            .env("AUX_LOSS_WEIGHT"),
        option("aux_loss_decay", &Config::aux_loss_decay, "factor on that weight for each step from the last", 0, 1).env("AUX_LOSS_DECAY"),
        option("entropy_floor", &Config::entropy_floor, "least share of a write where the state is decided", 0, 1),
        option("v15_entropy", &Config::v15_entropy,
               "compatibility: entropy of softmax(x) without a floor, which stops all writes at V = 1024"),
        option("eval_aux_loss", &Config::eval_aux_loss, "compatibility: validation counts the steps' losses too"),
    });
    return s;
  }
};

//   eta = max(floor, H(softmax(head(rho(x)))) / ln V), without a gradient
//   g = x[read];  g <- g + mem_scale Mem(rho_k(g));  o = eta write_scale / sqrt(k) act(rho_k(g) W_down^T + b) W_up^T    (SliceStep)
//   x <- x + scatter(o, write);   x <- x m,   m = the sparsity_k largest |x_v| of the position
//   L = L_{N-1} + w sum_i decay^(N-1-i) L_i,   L_i of the head on the state after step i
class AuxLoss final : public Sliced {
 public:
  AuxLoss(const Config& c, const Dims& dims, tensor::Params& p, tensor::Precision precision)
      : Sliced(c, vocabulary(c.vocab_size, dims), p, precision, c),
        config_(c),
        activation_(layers::activation_from(c.activation, c.activation_fallback)) {
    for (int64_t i = 0; i < c.num_steps; ++i) {
      windows_.push_back(windows_of(i, c.num_steps, vocab_size(), c.k_active));
      steps_.push_back(add_step(p, "steps." + std::to_string(i) + ".", c.k_active, c.k_active * c.inner_mul, c.decay_init));
    }
    finish(p);
  }

  // As forward with extra_loss, but each state's head and loss are one op, and the last state's are computed once.
  Tensor training_loss(const Tensor& ids_BT, const Tensor& targets_BT) override {
    const Tensor x_BTV = steps(rho(embed(ids_BT)), [](std::string_view, const Tensor&) {});
    Tensor loss = loss_of_state(x_BTV, targets_BT);
    if (scored_.empty()) return loss;
    loss = loss * (1 + weight(scored_.size() - 1));
    for (size_t i = 0; i + 1 < scored_.size(); ++i) loss = loss + loss_of_state(scored_[i], targets_BT) * weight(i);
    return loss;
  }

  Tensor extra_loss(const Tensor& targets_BT) override {
    Tensor sum_BT;
    for (size_t i = 0; i < scored_.size(); ++i) {
      const Tensor loss_BT = layers::token_cross_entropy(head(rho(scored_[i])), targets_BT) * weight(i);
      sum_BT = i == 0 ? loss_BT : sum_BT + loss_BT;
    }
    return sum_BT;
  }

 private:
  Tensor steps(Tensor x_BTV, const Observer& seen) override {
    scored_.clear();
    const bool score = config_.aux_loss_weight > 0 && (pass().training || config_.eval_aux_loss);
    for (size_t i = 0; i < steps_.size(); ++i) {
      const std::string step = "steps." + std::to_string(i);
      const Tensor eta_BT1 = undecided(x_BTV), g_BTk = gather(steps_[i].memory, steps_[i].mem_scale, x_BTV, windows_[i].read);
      x_BTV = add(x_BTV, output(steps_[i], g_BTk, activation_) * eta_BT1, windows_[i].write);
      seen(step + ".write", x_BTV);
      if (config_.sparsity_k < vocab_size()) x_BTV = x_BTV * layers::largest_entries(x_BTV, config_.sparsity_k);
      seen(step, x_BTV);
      if (score) scored_.push_back(x_BTV);
    }
    return x_BTV;
  }

  // Of the loss of the answer after step i.
  double weight(size_t i) const {
    return config_.aux_loss_weight * std::pow(config_.aux_loss_decay, static_cast<double>(scored_.size() - 1 - i));
  }

  // Entropy over ln V.
  Tensor undecided(const Tensor& x_BTV) const {
    const at::NoGradGuard no_grad;
    const Tensor P_BTV = at::softmax(config_.v15_entropy ? x_BTV : head(rho(x_BTV)), -1);
    const Tensor entropy_BT1 = (P_BTV + 1e-8).log_().mul_(P_BTV).sum(-1, true) / -std::log(static_cast<double>(vocab_size()));
    return config_.v15_entropy ? entropy_BT1 : entropy_BT1.clamp_min(config_.entropy_floor);
  }

  Config config_;
  layers::Activation activation_;
  std::vector<Windows> windows_;
  std::vector<SliceStep> steps_;
  std::vector<Tensor> scored_;  // the states whose answers count in the loss
};

std::unique_ptr<Model> make(const core::Value& config, const Dims& dims, tensor::Params& params, tensor::Precision precision) {
  return std::make_unique<AuxLoss>(configure<Config>(config), dims, params, precision);
}

Cost cost(const core::Value& config, const Dims& dims) {
  const auto c = configure<Config>(config);
  const Sizes n(c, dims);
  const auto k = static_cast<double>(c.k_active), N = static_cast<double>(c.num_steps);
  Cost cost = slice_steps_cost(N, k, k * static_cast<double>(c.inner_mul), n.T);
  cost.activation_bytes += 4 * N * 4 * n.V;
  return cost;
}

constexpr Preset presets[] = {
    {"trainer", ""},
    {"constructor", ""},
    {"settings", ""},
    {"reference", "activation_fallback=true v15_entropy=true eval_aux_loss=true"},
    {"historical", "activation_fallback=true v15_entropy=true eval_aux_loss=true reversed_mask=true rms_eps=0.0078125"},
};

}  // namespace

ASSAY_ARCHITECTURE(v15_aux_loss){
    .name = "v15_aux_loss",
    .aliases = "v15_predictive predictive v15",
    .family = "vocabulary space",
    .mixer = "decay linear attention inside of a window of the vocabulary",
    .transform = "MLP from one window to another, scaled by entropy, then the largest entries are kept",
    .summary = "the slice steps of v12, written in proportion to how undecided the state is and kept sparse; each step's answer is scored",
    .source = "vocabulary-space family, variant 15",
    .equations = "x = rho(onehot(u));  step i of N:\n"
                 "  eta = max(floor, H(softmax(head(x))) / ln V)\n"
                 "  g = x[read_i];  g += mem_scale s DLA(z W_q^T / sqrt(k), z W_k^T, z W_v^T) W_o^T,  z = rho(g)\n"
                 "  x[write_i] += eta write_scale / sqrt(k) act(rho(g) W_down^T + b) W_up^T;  x = the sparsity_k largest |x_v|\n"
                 "training: loss = L_{N-1} + w sum_i decay^(N-1-i) L_i,  L_i of head(x) after step i\n"
                 "read_i = k ids from i floor(V/N) on,  write_i = the same V/2 further, both modulo V\n"
                 "DLA(q, k, v)_t = sum_{s<t} sigmoid(delta)^(t-s-1) (q_t.k_s) v_s\n"
                 "logits = head(x) = c tanh(gamma rho(x) / c)",
    .notes = "Published: nothing, and the published form cannot learn: at V = 1024 its entropy factor is 3e-11, so that nothing is ever "
             "written and\n"
             "only logit_scale trains (v15_entropy=true). Here the entropy is that of the model's answer, with a floor. Published "
             "validation would\n"
             "have counted the steps' losses too, 1.57 times the true figure if all are equal (eval_aux_loss=true).",
    .presets = presets,
    .schema = &Config::schema,
    .new_config = &new_config<Config>,
    .make = &make,
    .cost = &cost};

}  // namespace assay::arch::vocab
