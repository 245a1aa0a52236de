#include <ATen/ops/lerp.h>

#include "assay/optim/rules.h"

namespace assay::optim {
namespace {

class Lion final : public Optimizer {
 public:
  Lion(tensor::Params& params, const OptimConfig& config)
      : Optimizer(params), config_(config), groups_(groups_of(params, config.weight_decay)), m_(params.like_values()) {}

  std::vector<NamedState> state() override {
    std::vector<NamedState> out;
    append(out, "momentum", m_);
    return out;
  }

 private:
  void step(double lr) override {
    for (const Group& g : groups_) {
      Tensor p = part_of(params_.values(), params_, g), m = part_of(m_, params_, g);
      const Tensor grad = part_of(params_.grads(), params_, g);
      const double rate = lr * g.lr_scale;
      const Tensor direction = at::lerp(grad, m, config_.beta1).sign_();
      if (g.weight_decay != 0) p.mul_(1 - rate * g.weight_decay);
      p.sub_(direction, rate);
      m.lerp_(grad, 1 - config_.beta2);
    }
  }

  OptimConfig config_;
  std::vector<Group> groups_;
  Tensor m_;
};

}  // namespace

std::unique_ptr<Optimizer> make_lion(tensor::Params& params, const OptimConfig& config) { return std::make_unique<Lion>(params, config); }

}  // namespace assay::optim
