#include <ATen/ops/_fused_sgd.h>

#include "assay/optim/rules.h"

namespace assay::optim {
namespace {

class Sgd final : public Optimizer {
 public:
  Sgd(tensor::Params& params, const OptimConfig& config)
      : Optimizer(params), momentum_(config.momentum_or_default()), groups_(groups_of(params, config.weight_decay)) {
    if (momentum_ > 0) m_ = params.like_values();
  }

  std::vector<NamedState> state() override {
    std::vector<NamedState> out;
    if (m_.defined()) append(out, "momentum", m_);
    return out;
  }

 private:
  void step(double lr) override {
    for (const Group& g : groups_) {
      const auto part = [&](const Tensor& flat) { return std::vector<Tensor>{part_of(flat, params_, g)}; };
      std::vector<Tensor> p = part(params_.values()), grad = part(params_.grads()), m;
      if (m_.defined()) m = part(m_);
      at::_fused_sgd_(p, grad, m, g.weight_decay, momentum_, lr * g.lr_scale, 0.0, false, false, false);
    }
  }

  double momentum_;
  std::vector<Group> groups_;
  Tensor m_;
};

}  // namespace

std::unique_ptr<Optimizer> make_sgd(tensor::Params& params, const OptimConfig& config) { return std::make_unique<Sgd>(params, config); }

}  // namespace assay::optim
