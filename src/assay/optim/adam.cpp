#include <ATen/ops/zeros.h>

#include <cmath>

#include "assay/ops/adam/adam.h"
#include "assay/optim/rules.h"

namespace assay::optim {
namespace {

using ops::Control;

class Adam final : public Optimizer {
 public:
  Adam(tensor::Params& params, const OptimConfig& config, const std::vector<Group>& groups)
      : Optimizer(params), config_(config), m_(params.like_values()), v_(params.like_values()) {
    const auto& entries = params.entries();
    for (const Group& g : groups) {
      if (g.first == g.last) continue;
      const bool to_end = g.last == static_cast<int64_t>(entries.size());
      groups_.push_back({entries[static_cast<size_t>(g.first)].offset, to_end ? m_.size(0) : entries[static_cast<size_t>(g.last)].offset,
                         g.lr_scale, g.weight_decay});
    }
    chunks_ = ops::adam_chunks(groups_, m_.device());
  }

  std::vector<NamedState> state() override {
    std::vector<NamedState> out;
    append(out, "exp_avg", m_);
    append(out, "exp_avg_sq", v_);
    return out;
  }

  std::optional<AdamOnDevice> on_device() override {
    if (config_.eps_form == "uncorrected") return std::nullopt;  // a larger eps in each update
    return AdamOnDevice{m_, v_, groups_, settings(config_.eps)};
  }

 private:
  void step(double lr) override {
    const double n = static_cast<double>(updates()), c1 = 1 - std::pow(config_.beta1, n), c2 = std::sqrt(1 - std::pow(config_.beta2, n));
    const Tensor control = at::zeros({Control::count}, at::TensorOptions().dtype(at::kDouble));
    double* slot = control.data_ptr<double>();
    slot[Control::rate] = lr;
    slot[Control::applied] = slot[Control::scale] = 1;
    slot[Control::correction1] = c1;
    slot[Control::correction2] = c2;
    // (m / c1) / (sqrt(v) / c2 + eps / c2) = c2 / c1 m / (sqrt(v) + eps): the uncorrected form is a larger eps.
    const double eps = config_.eps_form == "uncorrected" ? config_.eps / c2 : config_.eps;
    ops::adam_(params_.values(), params_.grads(), m_, v_, {}, control.to(m_.device()), chunks_, settings(eps));
  }

  ops::AdamSettings settings(double eps) const { return {config_.beta1, config_.beta2, eps, config_.name != "adam"}; }

  OptimConfig config_;
  std::vector<ops::AdamGroup> groups_;
  Tensor m_, v_, chunks_;
};

}  // namespace

std::unique_ptr<Optimizer> make_adam(tensor::Params& params, const OptimConfig& config) {
  return make_adam(params, config, groups_of(params, config.weight_decay));
}

std::unique_ptr<Optimizer> make_adam(tensor::Params& params, const OptimConfig& config, std::vector<Group> groups) {
  return std::make_unique<Adam>(params, config, groups);
}

}  // namespace assay::optim
