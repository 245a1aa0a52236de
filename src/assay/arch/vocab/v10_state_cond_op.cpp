// v10: a small code of the state remembers, then the code itself decides what it reads, which operation runs and what it writes.
// Source: the vocabulary-space family, variant 10 (published as v10_policy).
#include <ATen/ops/addcmul.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tanh.h>

#include <cmath>

#include "assay/arch/vocab/skeleton.h"
#include "assay/core/error.h"
#include "assay/layers/shift_max.h"

namespace assay::arch::vocab {
namespace {

using tensor::constant;
using tensor::normal;
using tensor::uniform;

struct Config : CommonOptions, ScoreOptions, DecayOptions {
  int64_t num_steps = 8, state_dim = 64, n_ops = 8, weights_k = 1;
  std::string read_weights = "softmax", op_weights = "softmax";
  double weights_tau = 1;

  static const core::Schema& schema() {
    using core::option;
    static const core::Schema s = declare<Config>({
        option("num_steps", &Config::num_steps, "recurrent steps N", 1, 1024).env("NUM_STEPS"),
        option("state_dim", &Config::state_dim, "width d of the code", 1, 65536).env("STATE_DIM"),
        option("n_ops", &Config::n_ops, "operations n; there are eight functions, and weights beyond would never run", 1, 8).env("N_OPS"),
        option("read_weights", &Config::read_weights, "how the code weighs what it reads of itself: softmax, or without exponentials")
            .one_of({"softmax", "shiftmax"}),
        option("op_weights", &Config::op_weights, "how the code weighs the operations").one_of({"softmax", "shiftmax"}),
        option("weights_k", &Config::weights_k, "sharpness of shiftmax", 1, 64),
        option("weights_tau", &Config::weights_tau, "temperature of both kinds of weights", 1e-6, 1e6),
    });
    return s;
  }
};

//   h = rho(x) E_c^T;   h <- h + mu DLA(h W_q^T, h W_k^T, h W_v^T; sigmoid(delta))
//   p = gelu(h P_1^T + b_1) P_2^T + b_2 = (read, op, write);   r = softmax(read), pi = softmax(op), g = sigmoid(write)
//   x <- x + alpha (g sum_j pi_j phi_j((h r) O_j^T)) E_x^T
struct Step {
  Tensor E_c_DV, E_x_VD, P_1, b_1, P_2, b_2;
  Tensor W_q_DD, W_k_DD, W_v_DD, delta, mu, alpha;
};

Tensor phi(int64_t j, const Tensor& y) {
  switch (j) {
    case 0: return at::gelu(y);
    case 1: return at::relu(y);
    case 2: return at::relu(y).square();
    case 3: return at::silu(y);
    case 4: return at::tanh(y);
    case 5: return at::sigmoid(y);
    case 7: return -y;
    default: return y;
  }
}

class StateCondOp final : public Skeleton {
 public:
  StateCondOp(const Config& c, const Dims& dims, tensor::Params& p, tensor::Precision precision)
      : Skeleton(c, vocabulary(c.vocab_size, dims), p, precision, c), config_(c) {
    if (c.read_weights == "softmax" && c.op_weights == "softmax" && c.weights_k != 1)
      throw core::ConfigError("v10_state_cond_op",
                              "weights_k=" + std::to_string(c.weights_k) + " is not read with read_weights=softmax and op_weights=softmax");
    const int64_t V = vocab_size(), D = c.state_dim, n = c.n_ops;
    const auto width = static_cast<double>(D);
    for (int64_t j = 0; j < n; ++j) O_DD_.push_back(p.add("op_bank.op_transforms." + std::to_string(j) + ".weight", {D, D}, normal(0.02)));
    for (int64_t i = 0; i < c.num_steps; ++i) {
      const std::string step = "steps." + std::to_string(i) + ".", policy = step + "policy.net.";
      const auto square = [&](const char* name) { return p.add(step + name, {D, D}, normal(0.02)); };
      steps_.push_back({p.add(step + "compress.weight", {D, V}, normal(0.02)), p.add(step + "expand.weight", {V, D}, normal(0.02)),
                        p.add(policy + "0.weight", {2 * D, D}, normal(0.02)),
                        p.add(policy + "0.bias", {2 * D}, uniform(1 / std::sqrt(width))),
                        p.add(policy + "2.weight", {2 * D + n, 2 * D}, normal(0.02)),
                        p.add(policy + "2.bias", {2 * D + n}, uniform(1 / std::sqrt(2 * width))), square("mem_q.weight"),
                        square("mem_k.weight"), square("mem_v.weight"), p.add(step + "decay_logit", {}, constant(c.decay_init)),
                        p.add(step + "mem_scale", {}, constant(0.1)), p.add(step + "act_scale", {}, constant(0.1))});
    }
    finish(p);
  }

 private:
  Tensor weights(const Tensor& z, const std::string& kind) const {
    if (kind == "shiftmax") return layers::shift_max(z, config_.weights_k, config_.weights_tau);
    return at::softmax(config_.weights_tau == 1 ? z : z / config_.weights_tau, -1);
  }

  Tensor steps(Tensor x_BTV, const Observer& seen) override {
    const auto n = static_cast<int64_t>(O_DD_.size());
    for (size_t i = 0; i < steps_.size(); ++i) {
      const Step& s = steps_[i];
      const std::string step = "steps." + std::to_string(i);
      x_BTV = half_step(x_BTV, s.alpha, [&](const Tensor& z_BTV) {
        Tensor h_BTD = linear(z_BTV, s.E_c_DV);
        h_BTD = at::addcmul(h_BTD, s.mu, attend(linear(h_BTD, s.W_q_DD), linear(h_BTD, s.W_k_DD), linear(h_BTD, s.W_v_DD), s.delta));
        seen(step + ".memory", h_BTD);
        const Tensor p = linear(at::gelu(linear(h_BTD, s.P_1, s.b_1)), s.P_2, s.b_2);
        const int64_t D = h_BTD.size(-1);
        const Tensor r_BTD = weights(p.narrow(-1, 0, D), config_.read_weights), pi_BTn = weights(p.narrow(-1, D, n), config_.op_weights),
                     g_BTD = at::sigmoid(p.narrow(-1, D + n, D));
        return linear(g_BTD * operate(h_BTD * r_BTD, pi_BTn), s.E_x_VD);
      });
      seen(step, x_BTV);
    }
    return x_BTV;
  }

  Tensor operate(const Tensor& y_BTD, const Tensor& pi_BTn) const {
    Tensor mixed_BTD;
    for (size_t j = 0; j < O_DD_.size(); ++j) {
      const auto n = static_cast<int64_t>(j);
      const Tensor done = phi(n, linear(y_BTD, O_DD_[j])), share = pi_BTn.narrow(-1, n, 1);
      mixed_BTD = j == 0 ? done * share : at::addcmul(mixed_BTD, done, share);
    }
    return mixed_BTD;
  }

  Config config_;
  std::vector<Tensor> O_DD_;
  std::vector<Step> steps_;
};

std::unique_ptr<Model> make(const core::Value& config, const Dims& dims, tensor::Params& params, tensor::Precision precision) {
  return std::make_unique<StateCondOp>(configure<Config>(config), dims, params, precision);
}

Cost cost(const core::Value& config, const Dims& dims) {
  const auto c = configure<Config>(config);
  const Sizes s(c, dims);
  const auto N = static_cast<double>(c.num_steps), D = static_cast<double>(c.state_dim), n = static_cast<double>(c.n_ops);
  return cost_of(N * (2 * s.V * D + 5 * D * D + 2 * D * (2 * D + n) + n * D * D), N * s.T * D, N * (3 * s.V + (16 + 2 * n) * D));
}

constexpr Preset presets[] = {
    {"trainer", ""}, {"constructor", ""}, {"settings", ""}, {"reference", ""}, {"historical", "reversed_mask=true rms_eps=0.0078125"}};

}  // namespace

ASSAY_ARCHITECTURE(v10_state_cond_op){
    .name = "v10_state_cond_op",
    .aliases = "v10_policy policy v10",
    .family = "vocabulary space",
    .mixer = "decay linear attention between small codes",
    .transform = "read, operation and write chosen softly by the code itself",
    .summary = "a small code of the state decides softly what it reads, which of eight shared operations runs and what it writes",
    .source = "vocabulary-space family, variant 10",
    .equations = "x = rho(onehot(u));  N times:\n"
                 "  h = rho(x) E_c^T;  h += mu DLA(h W_q^T, h W_k^T, h W_v^T)\n"
                 "  (read, op, write) = gelu(h P_1^T + b_1) P_2^T + b_2;  r = softmax(read),  pi = softmax(op),  g = sigmoid(write)\n"
                 "  x += alpha (g sum_j pi_j phi_j((h r) O_j^T)) E_x^T\n"
                 "phi = gelu, relu, relu^2, swish, tanh, sigmoid, identity, negate\n"
                 "DLA(q, k, v)_t = sum_{s<t} sigmoid(delta)^(t-s-1) (q_t.k_s) v_s\n"
                 "logits = c tanh(gamma rho(x) / c)",
    .notes =
        "Published: 6.00 nats (3.55 bits per byte) after 523 updates in 600 s, with the corrected mask: trustworthy. Described as soft\n"
        "addressing over the vocabulary; it addresses its code. The softmax read scales the code by about 1/d, so learning starts slowly.",
    .presets = presets,
    .schema = &Config::schema,
    .new_config = &new_config<Config>,
    .make = &make,
    .cost = &cost};

}  // namespace assay::arch::vocab
