#include <ATen/ops/linalg_vector_norm.h>

#include <cmath>
#include <map>

#include "assay/audit/checks.h"

namespace assay::audit {
namespace {

// Adam in double, straight from its equations (Kingma & Ba 2015; decoupled decay: Loshchilov & Hutter 2019), one number at a time.
class ReferenceAdam {
 public:
  ReferenceAdam(const optim::OptimConfig& c, std::vector<double> start) : c_(c), p_(std::move(start)), m_(p_.size()), v_(p_.size()) {}

  void update(const std::vector<double>& gradient, double lr) {
    ++t_;
    const double scale1 = 1 - std::pow(c_.beta1, t_), scale2 = 1 - std::pow(c_.beta2, t_);
    for (size_t i = 0; i < p_.size(); ++i) {
      double g = gradient[i];
      if (c_.name == "adam") g += c_.weight_decay * p_[i];
      else p_[i] -= lr * c_.weight_decay * p_[i];
      m_[i] = c_.beta1 * m_[i] + (1 - c_.beta1) * g;
      v_[i] = c_.beta2 * v_[i] + (1 - c_.beta2) * g * g;
      p_[i] -= lr * (m_[i] / scale1) / (std::sqrt(v_[i] / scale2) + c_.eps);
    }
  }
  const std::vector<double>& values() const { return p_; }

 private:
  optim::OptimConfig c_;
  std::vector<double> p_, m_, v_;
  int t_ = 0;
};

std::vector<double> numbers(const Tensor& t) {
  const Tensor flat = t.detach().to(at::kCPU, at::kDouble).reshape({-1}).contiguous();
  return {flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel()};
}

std::vector<double> gradient_of(const arch::Built& b, const tensor::Params::Entry& e, double scale) {
  std::vector<double> g = numbers(b.params->view(b.params->grads(), e));
  for (double& x : g) x *= scale;
  return g;
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
  optim::Adam optimizer(*b.params, s.config().optim);
  std::map<std::string, bool> alive;
  for (int64_t n = 0; n < updates; ++n) {
    s.train(b, optimizer, n, n + 1);
    for (const auto& e : b.params->entries())
      if (!alive[e.name]) alive[e.name] = (b.params->view(b.params->grads(), e) != 0).any().item().toBool();
  }
  for (const auto& e : b.params->entries())
    if (!alive[e.name])
      r.findings.push_back({e.name, "dead: its gradient is exactly zero in each of the first " + std::to_string(updates) + " updates"});
}

void check_update(const Subject& s, CheckResult& r) {
  r.note = "two training steps move each parameter as the optimizer's equations say, once";
  const double lr = s.config().optim.lr > 0 ? s.config().optim.lr : 1e-3;
  const arch::Built b = s.build(), probe = s.build();
  optim::Adam optimizer(*b.params, s.config().optim);
  std::map<std::string, ReferenceAdam> expected;
  for (const auto& e : b.params->entries()) expected.emplace(e.name, ReferenceAdam(s.config().optim, numbers(e.value)));
  for (int64_t n = 0; n < 2; ++n) {
    const train::Batch batch = s.batch(n);
    {  // the gradient at the same values, from a model of its own
      const at::NoGradGuard no_grad;
      probe.params->values().copy_(b.params->values());
    }
    train::accumulate_gradients(probe, {&batch, 1}, s.training_pass(n));
    const double scale = clip_scale(probe, s.config().optim.clip);
    train::training_step(b, optimizer, {&batch, 1}, lr, s.config().optim.clip, {n}, s.training_pass(n));
    for (const auto& e : probe.params->entries()) expected.at(e.name).update(gradient_of(probe, e, scale), lr);
  }
  for (const auto& e : b.params->entries()) {
    const std::vector<double> got = numbers(e.value), &want = expected.at(e.name).values();
    double worst = 0, size = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      worst = std::max(worst, std::abs(got[i] - want[i]));
      size = std::max(size, std::abs(want[i]));
    }
    // An update moves by about lr; float32 rounds values to 6e-8 of their size and the quotient of small moments to a few 1e-3.
    if (worst > 0.02 * lr + 1e-6 * size)
      r.findings.push_back(
          {e.name, "after two updates it is " + std::to_string(worst / lr) +
                       " learning rates away from where the optimizer's equations put it: it is updated elsewhere too, or not as stated"});
  }
}

}  // namespace assay::audit
