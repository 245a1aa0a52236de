#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/full.h>

#include <cmath>

#include "assay/optim/rules.h"

namespace assay::optim {
namespace {

// One fused call a group; the step's number is a device scalar, so that a captured update counts by itself.
class Adam final : public Optimizer {
 public:
  Adam(tensor::Params& params, const OptimConfig& config, std::vector<Group> groups)
      : Optimizer(params),
        config_(config),
        groups_(std::move(groups)),
        m_(params.like_values()),
        v_(params.like_values()),
        number_(at::zeros({}, at::TensorOptions().device(m_.device()))) {}

  void set_updates(int64_t n) override {
    Optimizer::set_updates(n);
    number_.fill_(static_cast<double>(n));
  }

  std::vector<NamedState> state() override {
    std::vector<NamedState> out;
    append(out, "exp_avg", m_);
    append(out, "exp_avg_sq", v_);
    return out;
  }

 private:
  void step(double lr) override {
    number_.add_(1);
    // (m / c1) / (sqrt(v) / sqrt(c2) + eps / sqrt(c2)) = sqrt(c2) / c1 m / (sqrt(v) + eps): the uncorrected form is a larger eps.
    const double c2 = 1 - std::pow(config_.beta2, static_cast<double>(updates()));
    const double eps = config_.eps_form == "uncorrected" ? config_.eps / std::sqrt(c2) : config_.eps;
    for (const Group& g : groups_) {
      const auto part = [&](const Tensor& flat) { return std::vector<Tensor>{part_of(flat, params_, g)}; };
      const std::vector<Tensor> p = part(params_.values()), grad = part(params_.grads()), m = part(m_), v = part(v_), number{number_};
      const double rate = lr * g.lr_scale;
      if (config_.name == "adam")
        at::_fused_adam_(p, grad, m, v, {}, number, rate, config_.beta1, config_.beta2, g.weight_decay, eps, false, false);
      else
        at::_fused_adamw_(p, grad, m, v, {}, number, rate, config_.beta1, config_.beta2, g.weight_decay, eps, false, false);
    }
  }

  OptimConfig config_;
  std::vector<Group> groups_;
  Tensor m_, v_, number_;
};

}  // namespace

std::unique_ptr<Optimizer> make_adam(tensor::Params& params, const OptimConfig& config) {
  return make_adam(params, config, groups_of(params, config.weight_decay));
}

std::unique_ptr<Optimizer> make_adam(tensor::Params& params, const OptimConfig& config, std::vector<Group> groups) {
  return std::make_unique<Adam>(params, config, std::move(groups));
}

}  // namespace assay::optim
