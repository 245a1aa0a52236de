#include "audit/mutants.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/masked_fill.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/roll.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>
#include <limits>

#include "assay/core/random.h"
#include "assay/layers/embedding.h"

namespace assay::testing {
namespace {

using arch::Dims;
using arch::Observer;
using tensor::constant;
using tensor::normal;
using tensor::uniform;

Defect current = Defect::none;
int64_t calls = 0;  // of the noise that does not repeat

struct Config {
  int64_t vocab_size = 0, depth = 2, extra = 1;
  static const core::Schema& with(bool extra) {
    using core::option;
    static const core::Schema plain = core::declare<Config>(
        "model", {option("vocab_size", &Config::vocab_size, "vocabulary", 0, 65536), option("depth", &Config::depth, "steps", 1, 64)});
    static const core::Schema more = core::declare<Config>(
        "model", {option("vocab_size", &Config::vocab_size, "vocabulary", 0, 65536), option("depth", &Config::depth, "steps", 1, 64),
                  option("extra", &Config::extra, "promises something", 0, 100)});
    return extra ? more : plain;
  }
  static const core::Schema& schema() { return with(current == Defect::option_without_effect); }
};

// x[t] <- x[t + 1]
Tensor following(const Tensor& x_BTN) {
  return x_BTN.size(1) < 2 ? at::zeros_like(x_BTN)
                           : at::cat({x_BTN.narrow(1, 1, x_BTN.size(1) - 1), at::zeros_like(x_BTN.narrow(1, 0, 1))}, 1);
}
Tensor previous(const Tensor& x_BTN) {
  return x_BTN.size(1) < 2 ? at::zeros_like(x_BTN)
                           : at::cat({at::zeros_like(x_BTN.narrow(1, 0, 1)), x_BTN.narrow(1, 0, x_BTN.size(1) - 1)}, 1);
}

// What both models share: the places where a defect can sit. Subclasses have the equations.
class Mutant : public arch::Model {
 public:
  explicit Mutant(const Config& c, const Dims& dims) : vocab_(c.vocab_size > 0 ? c.vocab_size : dims.vocab_size), depth_(c.depth) {}
  int64_t vocab_size() const override { return vocab_; }

  Tensor loss(const Tensor& logits, const Tensor& targets) override {
    if (current == Defect::loss_against_input) return Model::loss(logits, at::roll(targets, {1}, {1}));
    if (current == Defect::target_shifted_twice) return Model::loss(logits, at::roll(targets, {-1}, {1}));
    if (current == Defect::loss_scaled) return Model::loss(logits, targets) * 0.5;
    return Model::loss(logits, targets);
  }

 protected:
  void declare_extra(tensor::Params& p, int64_t width) {
    if (current == Defect::unused_parameter || current == Defect::detached_parameter || current == Defect::gradient_lost ||
        current == Defect::leak_behind_zero)
      extra_ = p.add("extra", {width}, constant(0));
  }
  void watch(const Tensor& parameter) { watched_ = parameter; }

  // bool [T, T]: row t may see column s. `self`: whether it sees itself.
  Tensor visible(int64_t T, bool self, const at::Device& device) const {
    const Tensor at_ = at::arange(T, at::TensorOptions().dtype(at::kLong).device(device));
    const Tensor t = at_.unsqueeze(1), s = at_.unsqueeze(0);
    const bool next_too = current == Defect::mask_off_by_one || (current == Defect::leak_in_evaluation && !pass().training) ||
                          (current == Defect::leak_in_training && pass().training) || (current == Defect::leak_beyond_length && T > 16);
    if (current == Defect::reversed_mask) return self ? s >= t : s > t;
    if (next_too) return s <= t + 1;
    return self ? s <= t : s < t;
  }

  // The mixer's input in the first step, with what a defect does to it.
  Tensor spoiled(const Tensor& z, size_t step) {
    if (step != 0) return z;
    switch (current) {
      case Defect::normalised_over_time: return z - z.mean(1, true);
      case Defect::batch_statistics: return z - z.mean(0, true);
      case Defect::convolution_padding: return z + 0.3 * following(z) + 0.3 * previous(z);
      case Defect::leak_by_gradient: return z + 0.3 * (following(z) - following(z).detach());
      case Defect::leak_behind_zero: return z + following(z) * extra_;
      case Defect::gradient_lost: return z * (1 + 0.5 * (extra_ + extra_.detach()));
      case Defect::detached_parameter: return z * (1 + extra_.detach());
      case Defect::fails_on_one_token: return z * (1 + 1 / static_cast<double>(z.size(1) - 1));
      case Defect::fails_on_constant_input: {
        const Tensor tokens = layers::one_hot(input_, vocab_, z.scalar_type()), change = tokens - previous(tokens);
        return z * (1 + 1 / at::linalg_vector_norm(change, 2, {-1}, true));
      }
      case Defect::cache_by_position: return cached(z);
      case Defect::unsaved_statistics: return running(z);
      case Defect::parameter_updated_twice:
        if (pass().training) {
          const at::NoGradGuard no_grad;
          watched_.mul_(0.999);
        }
        return z;
      case Defect::noise_shared_by_rows: return pass().training ? z * noise(z, pass().batch, 1) : z;
      case Defect::noise_not_repeatable: return pass().training ? z * noise(z, ++calls, z.size(0)) : z;
      case Defect::noise_in_evaluation: return z * noise(z, ++calls, z.size(0));
      default: return z;
    }
  }

  int64_t vocab_, depth_;
  Tensor input_;

 private:
  static Tensor noise(const Tensor& z, int64_t salt, int64_t rows) {
    const core::Stream stream(7, "mutant/noise", static_cast<uint64_t>(salt));
    Tensor n = at::empty({rows, z.size(1), 1}, at::TensorOptions().dtype(at::kFloat));
    for (int64_t i = 0; i < n.numel(); ++i) n.data_ptr<float>()[i] = stream.uniform(static_cast<uint64_t>(i)) < 0.5 ? 0.5F : 1.5F;
    return n.to(z.options());
  }

  Tensor cached(const Tensor& z) {
    const Tensor now = z.detach().narrow(0, 0, 1);
    if (!cache_.defined() || cache_.size(1) < z.size(1) || cache_.scalar_type() != z.scalar_type()) cache_ = now;
    return z + 0.1 * cache_.narrow(1, 0, z.size(1));
  }

  Tensor running(const Tensor& z) {
    const Tensor mean = z.detach().mean(1, true).mean(0, true);
    if (!mean_.defined() || mean_.scalar_type() != z.scalar_type()) mean_ = at::zeros_like(mean);
    if (!pass().training) return z - mean_;
    mean_ = 0.9 * mean_ + 0.1 * mean;
    return z;
  }

  Tensor extra_, watched_, cache_, mean_;
};

class V8 final : public Mutant {
 public:
  V8(const Config& c, const Dims& dims, tensor::Params& p) : Mutant(c, dims) {
    const int64_t V = vocab_, R = 8;
    for (int64_t i = 0; i < depth_; ++i) {
      const std::string hop = "hops." + std::to_string(i) + ".", prop = hop + "propagation.", inter = hop + "interaction.";
      hops_.push_back({p.add(prop + "q_scale", {V}, constant(1)), p.add(prop + "k_scale", {V}, constant(1)),
                       p.add(prop + "decay_logit", {}, constant(3)), p.add(prop + "out_scale", {}, constant(0.1)),
                       p.add(inter + "U", {V, R}, normal(0.02)), p.add(inter + "V", {V, R}, normal(0.02)),
                       p.add(inter + "diag", {V}, constant(0)), p.add(inter + "bias", {V}, constant(0)),
                       p.add(inter + "out_scale", {}, constant(0.1)), p.add(hop + "prop_scale", {1}, constant(1)),
                       p.add(hop + "interact_scale", {1}, constant(1))});
    }
    declare_extra(p, V);
    gamma_ = p.add("logit_scale", {}, constant(1));
    watch(hops_[0].diag);
    if (current == Defect::parameter_updated_twice) watch(hops_[0].q);
  }

  using Model::forward;
  Tensor forward(const Tensor& input, const Observer* observe) override {
    const Observer nobody = [](std::string_view, const Tensor&) {};
    const Observer& seen = observe != nullptr ? *observe : nobody;
    input_ = input;
    Tensor x = rho(layers::one_hot(input, vocab_, gamma_.scalar_type()));
    seen("embed", x);
    for (size_t i = 0; i < hops_.size(); ++i) {
      const Hop& h = hops_[i];
      x = x + h.mu * h.s_p * mix(h, spoiled(rho(x), i));
      seen("hops." + std::to_string(i) + ".propagation", x);
      const Tensor z = rho(x);
      x = x + h.nu * h.s_w * at::gelu(at::matmul(at::matmul(z, h.U), h.V.t()) + z * h.diag + h.bias);
      seen("hops." + std::to_string(i), x);
    }
    const Tensor last = rho(x);
    seen("final", last);
    return 30 * at::tanh(gamma_ * last / 30);
  }

 private:
  struct Hop {
    Tensor q, k, delta, s_p, U, V, diag, bias, s_w, mu, nu;
  };
  static Tensor rho(const Tensor& z) { return z * at::pow(z.square().mean(-1, true) + 1.1920928955078125e-07, -0.5); }

  Tensor mix(const Hop& h, const Tensor& z) const {
    const int64_t T = z.size(1);
    const Tensor at_ = at::arange(T, z.options().requires_grad(false));
    const Tensor distance = (at_.unsqueeze(1) - at_.unsqueeze(0)).abs() - 1;
    const Tensor decay = at::pow(at::sigmoid(h.delta), distance.clamp_min(0));
    const Tensor weights = at::where(visible(T, false, z.device()), decay, at::zeros_like(decay));
    return at::matmul(at::matmul(z * h.q, (z * h.k).transpose(1, 2)) * weights, z);
  }

  std::vector<Hop> hops_;
  Tensor gamma_;
};

class Gpt2 final : public Mutant {
 public:
  Gpt2(const Config& c, const Dims& dims, tensor::Params& p) : Mutant(c, dims) {
    const int64_t C = kWidth;
    E_ = p.add("token_embedding.weight", {vocab_, C}, normal(0.02));
    P_ = p.add("position_embedding.weight", {dims.seq_len, C}, normal(0.02));
    for (int64_t l = 0; l < depth_; ++l) {
      const std::string b = "blocks." + std::to_string(l) + ".";
      blocks_.push_back({norm(p, b + "ln1"), linear(p, b + "attn.qkv", 3 * C, C), linear(p, b + "attn.out", C, C), norm(p, b + "ln2"),
                         linear(p, b + "mlp.fc1", 4 * C, C), linear(p, b + "mlp.fc2", C, 4 * C)});
    }
    last_ = norm(p, "ln_f");
    declare_extra(p, C);
    watch(blocks_[0].fc1.bias);
  }

  using Model::forward;
  Tensor forward(const Tensor& input, const Observer* observe) override {
    const Observer nobody = [](std::string_view, const Tensor&) {};
    const Observer& seen = observe != nullptr ? *observe : nobody;
    input_ = input;
    Tensor x = layers::embed(E_, input) + P_.narrow(0, 0, input.size(1));
    seen("embed", x);
    for (size_t l = 0; l < blocks_.size(); ++l) {
      const Block& b = blocks_[l];
      x = x + apply(b.out, attend(apply(b.qkv, spoiled(normed(b.ln1, x), l))));
      seen("blocks." + std::to_string(l) + ".attn", x);
      x = x + apply(b.fc2, at::gelu(apply(b.fc1, normed(b.ln2, x)), "tanh"));
      seen("blocks." + std::to_string(l), x);
    }
    const Tensor last = normed(last_, x);
    seen("final", last);
    return at::matmul(last, E_.t());
  }

 private:
  static constexpr int64_t kWidth = 16, kHeads = 2;
  struct Affine {
    Tensor weight, bias;
  };
  struct Block {
    Affine ln1, qkv, out, ln2, fc1, fc2;
  };
  static Affine norm(tensor::Params& p, const std::string& name) {
    return {p.add(name + ".weight", {kWidth}, constant(1)), p.add(name + ".bias", {kWidth}, constant(0))};
  }
  static Affine linear(tensor::Params& p, const std::string& name, int64_t out, int64_t in) {
    return {p.add(name + ".weight", {out, in}, normal(0.02)),
            p.add(name + ".bias", {out}, uniform(1 / std::sqrt(static_cast<double>(in))))};
  }
  static Tensor apply(const Affine& a, const Tensor& x) { return at::matmul(x, a.weight.t()) + a.bias; }
  static Tensor normed(const Affine& a, const Tensor& x) { return at::layer_norm(x, {kWidth}, a.weight, a.bias, 1e-5); }

  Tensor attend(const Tensor& qkv) const {
    const int64_t B = qkv.size(0), T = qkv.size(1), D = kWidth / kHeads;
    const Tensor heads = qkv.view({B, T, 3, kHeads, D}).permute({2, 0, 3, 1, 4});
    const Tensor scores = at::matmul(heads[0], heads[1].transpose(-1, -2)) / std::sqrt(static_cast<double>(D));
    const Tensor hidden = visible(T, true, qkv.device()).logical_not();
    const Tensor weights = at::softmax(at::masked_fill(scores, hidden, -std::numeric_limits<double>::infinity()), -1);
    return at::matmul(weights, heads[2]).transpose(1, 2).reshape({B, T, kWidth});
  }

  Tensor E_, P_;
  std::vector<Block> blocks_;
  Affine last_;
};

template <class Model>
std::unique_ptr<arch::Model> make(const core::Value& config, const Dims& dims, tensor::Params& params, tensor::Precision) {
  return std::make_unique<Model>(arch::configure<Config>(config), dims, params);
}

arch::Cost no_cost(const core::Value&, const Dims&) { return {}; }

template <class Model>
arch::ArchInfo info(const char* name, const char* mixer) {
  return {.name = name,
          .family = "test",
          .mixer = mixer,
          .schema = &Config::schema,
          .new_config = &arch::new_config<Config>,
          .make = &make<Model>,
          .cost = &no_cost};
}

}  // namespace

const char* name_of(Defect d) {
  constexpr const char* names[] = {"none",
                                   "mask off by one",
                                   "reversed mask",
                                   "normalisation over time",
                                   "batch statistics",
                                   "convolution padding",
                                   "cache by position",
                                   "leak in evaluation only",
                                   "leak in training only",
                                   "leak beyond a length",
                                   "leak by gradient",
                                   "leak behind a zero",
                                   "loss against the input token",
                                   "target shifted twice",
                                   "loss scaled",
                                   "unused parameter",
                                   "detached parameter",
                                   "gradient lost",
                                   "parameter updated twice",
                                   "option without effect",
                                   "noise shared by rows",
                                   "noise that does not repeat",
                                   "noise in evaluation",
                                   "statistics that no checkpoint holds",
                                   "fails on one token",
                                   "fails on constant input"};
  return names[static_cast<size_t>(d)];
}

std::vector<Defect> all_defects() {
  std::vector<Defect> all;
  for (int d = 1; d <= static_cast<int>(Defect::fails_on_constant_input); ++d) all.push_back(static_cast<Defect>(d));
  return all;
}

const arch::ArchInfo& mutant(std::string_view model, Defect d) {
  static const arch::ArchInfo v8 = info<V8>("v8", "decay attention"), gpt2 = info<Gpt2>("gpt2", "softmax attention");
  current = d;
  return model == "v8" ? v8 : gpt2;
}

}  // namespace assay::testing
