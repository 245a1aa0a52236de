#include <ATen/Parallel.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "assay/audit/checks.h"

namespace assay::audit {
namespace {

constexpr int64_t kGrain = 1 << 14;  // numbers of a thread

// The update rules in double, straight from their equations, one number at a time: Adam (Kingma & Ba 2015), decoupled decay (Loshchilov &
// Hutter 2019), gradient descent with momentum, Lion (Chen et al. 2023).
class ReferenceRule {
 public:
  // `start`: of the parameter, flat, in double on the CPU; the rule keeps it.
  ReferenceRule(const optim::OptimConfig& c, const tensor::Treatment& t, const Tensor& start)
      : c_(c),
        momentum_(c.momentum_or_default()),
        lr_scale_(t.lr_scale),
        decay_(c.weight_decay * t.decay_scale),
        kind_(c.name == "sgd"    ? Kind::descent
              : c.name == "lion" ? Kind::lion
                                 : Kind::adam),
        coupled_(c.name == "adam" || c.name == "sgd"),
        uncorrected_(c.eps_form == "uncorrected"),
        p_(start),
        m_(at::zeros_like(start)),
        v_(at::zeros_like(start)) {}

  void update(const Tensor& gradient, double lr) {
    ++t_;
    scale1_ = 1 - std::pow(c_.beta1, t_), scale2_ = 1 - std::pow(c_.beta2, t_);
    const double rate = lr * lr_scale_;
    const double* gradients = gradient.const_data_ptr<double>();
    double *p = p_.data_ptr<double>(), *m = m_.data_ptr<double>(), *v = v_.data_ptr<double>();
    at::parallel_for(0, p_.numel(), kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        double g = gradients[i];
        if (coupled_) g += decay_ * p[i];
        else p[i] -= rate * decay_ * p[i];
        p[i] -= rate * direction(g, m[i], v[i]);
      }
    });
  }
  Tensor& values() { return p_; }

 private:
  enum class Kind { adam, lion, descent };

  double direction(double g, double& m, double& v) const {
    if (kind_ == Kind::descent) return m = momentum_ * m + g;
    if (kind_ == Kind::lion) {
      const double u = c_.beta1 * m + (1 - c_.beta1) * g;
      m = c_.beta2 * m + (1 - c_.beta2) * g;
      return static_cast<double>((u > 0) - (u < 0));
    }
    m = c_.beta1 * m + (1 - c_.beta1) * g;
    v = c_.beta2 * v + (1 - c_.beta2) * g * g;
    const double root = uncorrected_ ? (std::sqrt(v) + c_.eps) / std::sqrt(scale2_) : std::sqrt(v / scale2_) + c_.eps;
    return m / scale1_ / root;
  }

  optim::OptimConfig c_;
  double momentum_, lr_scale_, decay_, scale1_ = 0, scale2_ = 0;
  Kind kind_;
  bool coupled_, uncorrected_;
  Tensor p_, m_, v_;
  int t_ = 0;
};

// The check is of the model, not of the optimizer: rules that mix the entries of a tensor are replaced by one that can be written out.
optim::OptimConfig elementwise(const optim::OptimConfig& c) {
  optim::OptimConfig out = c;
  if (c.name == "muon" || c.conditioning != "none") {
    out = {};
    out.name = "adamw";
    out.lr = c.lr;
    out.weight_decay = c.weight_decay;
    out.clip = c.clip;
  }
  return out;
}

// A copy, flat, in double on the CPU.
Tensor numbers(const Tensor& t) {
  return t.detach().to(at::TensorOptions().dtype(at::kDouble).device(at::kCPU), /*non_blocking=*/false, /*copy=*/true).reshape({-1});
}

Tensor gradient_of(const arch::Built& b, const tensor::Params::Entry& e, double scale) {
  return numbers(b.params->view(b.params->grads(), e)).mul_(scale);
}

double clip_scale(const arch::Built& b, double clip) {
  const double norm = at::linalg_vector_norm(b.params->grads()).item().toDouble();
  return clip > 0 ? std::min(1.0, clip / (norm + 1e-6)) : 1;
}

}  // namespace

void check_dead_parameters(const Subject& s, CheckResult& r) {
  const int64_t updates = s.full() ? 20 : 4;
  r.note = "every parameter gets a gradient that is not exactly zero within " + std::to_string(updates) + " updates";
  const arch::Built b = s.build();
  const auto optimizer = optim::make_optimizer(*b.params, elementwise(s.config().optim));
  std::map<std::string, bool> alive;
  for (int64_t n = 0; n < updates; ++n) {
    s.train(b, *optimizer, n, n + 1);
    for (const auto& e : b.params->entries())
      if (!alive[e.name]) alive[e.name] = !e.treatment.trained || (b.params->view(b.params->grads(), e) != 0).any().item().toBool();
  }
  for (const auto& e : b.params->entries())
    if (!alive[e.name])
      r.findings.push_back({e.name, "dead: its gradient is exactly zero in each of the first " + std::to_string(updates) + " updates"});
}

namespace {

// What a training step is expected to do to each parameter: the rule's equations, and around them the model's own changes, which a second
// model of the same kind makes to the expected values.
class Expectation {
 public:
  Expectation(const Subject& s, const optim::OptimConfig& optim) : s_(s), optim_(optim), probe_(s.build()) {
    for (const auto& e : probe_.params->entries()) rules_.emplace(e.name, ReferenceRule(optim, e.treatment, numbers(e.value)));
  }

  void step(const arch::Built& actual, const train::Batch& batch, const arch::Update& update, double lr) {
    const at::NoGradGuard no_grad;
    probe_.params->values().copy_(actual.params->values());
    probe_.model->before_update(update, batch.ids_BT);
    for (const auto& e : probe_.params->entries()) moved(e, actual.params->find(e.name)->value);  // before the pass
    {
      const at::AutoGradMode graph(true);
      train::accumulate_gradients(probe_, {&batch, 1}, s_.training_pass(update.number));
    }
    probe_.model->adjust_gradients();
    const double scale = clip_scale(probe_, optim_.clip);
    for (const auto& e : probe_.params->entries())
      if (e.treatment.trained) rule(e).update(gradient_of(probe_, e, scale), lr);
    for (const auto& e : probe_.params->entries()) Tensor(e.value).copy_(rule(e).values().view(e.value.sizes()));
    const Tensor unchanged = probe_.params->values().detach().clone();
    probe_.model->after_update(update);
    for (const auto& e : probe_.params->entries()) moved(e, probe_.params->view(unchanged, e));
  }

  ReferenceRule& rule(const tensor::Params::Entry& e) { return rules_.at(e.name); }

 private:
  // What the model itself did to the parameter, from the value `from`.
  void moved(const tensor::Params::Entry& e, const Tensor& from) {
    if (!at::equal(e.value.detach(), from.detach())) rule(e).values().add_(numbers(e.value) - numbers(from));
  }

  const Subject& s_;
  optim::OptimConfig optim_;
  arch::Built probe_;
  std::map<std::string, ReferenceRule> rules_;
};

// A weight that the model itself removes behind an update was there in the pass before it: the first loss is that of another model.
void check_first_pass(const Subject& s, CheckResult& r) {
  const at::NoGradGuard no_grad;
  const arch::Built b = s.build();
  const Tensor before = b.params->values().clone();
  b.model->after_update({});
  for (const auto& e : b.params->entries()) {
    const int64_t removed = ((b.params->view(before, e) != 0) & (e.value == 0)).sum().item().toLong();
    if (removed > 0)
      r.findings.push_back({e.name, std::to_string(removed) + " of its " + std::to_string(e.numel) +
                                        " entries take part in the first pass and are removed behind the first update"});
  }
}

}  // namespace

void check_update(const Subject& s, CheckResult& r) {
  r.note = "two training steps move each parameter as the optimizer's equations say, once, and as the model says that it does itself";
  check_first_pass(s, r);
  const double lr = s.config().optim.lr > 0 ? s.config().optim.lr : 1e-3;
  const optim::OptimConfig optim = elementwise(s.config().optim);
  const arch::Built b = s.build();
  const auto optimizer = optim::make_optimizer(*b.params, optim);
  Expectation expected(s, optim);
  for (int64_t n = 0; n < 2; ++n) {
    const train::Batch batch = s.batch(n);
    expected.step(b, batch, {n}, lr);
    train::training_step(b, *optimizer, {&batch, 1}, lr, optim.clip, {n}, s.training_pass(n));
  }
  for (const auto& e : b.params->entries()) {
    if (e.numel == 0) continue;
    const Tensor& want = expected.rule(e).values();
    const double worst = (numbers(e.value) - want).abs().max().item().toDouble(), size = want.abs().max().item().toDouble();
    // An update moves by about lr; float32 rounds values to 6e-8 of their size and the quotient of small moments to a few 1e-3.
    const double step = lr * std::max(1.0, e.treatment.lr_scale);
    if (!(worst <= 0.02 * step + 1e-6 * size))
      r.findings.push_back(
          {e.name, "after two updates it is " + std::to_string(worst / lr) +
                       " learning rates away from where the optimizer's equations put it: it is updated elsewhere too, or not as stated"});
  }
}

}  // namespace assay::audit
