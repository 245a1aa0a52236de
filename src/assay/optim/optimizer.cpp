#include "assay/optim/optimizer.h"

#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>

#include <cmath>

namespace assay::optim {

// Members of the nested schedule are options of the same section.
const core::Schema& OptimConfig::schema() {
  using core::Field;
  using core::option;
  static const core::Schema s = [] {
    const core::Schema own = core::declare<OptimConfig>(
        "optim",
        {
            option("name", &OptimConfig::name, "optimizer").one_of({"adam", "adamw"}),
            option("lr", &OptimConfig::lr, "base learning rate", 0, 1e38).env("LR"),
            option("beta1", &OptimConfig::beta1, "decay of the first moment", 0, 1).env("BETA1"),
            option("beta2", &OptimConfig::beta2, "decay of the second moment", 0, 1).env("BETA2"),
            option("eps", &OptimConfig::eps, "added to the root of the second moment", 1e-30, 1).env("ADAM_EPS"),
            option("weight_decay", &OptimConfig::weight_decay, "coupled with adam, decoupled with adamw", 0, 100).env("WEIGHT_DECAY"),
            option("clip", &OptimConfig::clip, "largest global gradient norm; 0 = no clipping", 0, 1e9).env("GRAD_CLIP_NORM"),
            option("warmup_updates", &OptimConfig::warmup_updates,
                   "compatibility: updates at the full rate before step 0, on batches that are seen again", 0, 1 << 20)
                .env("WARMUP_STEPS"),
        });
    const core::Schema nested = core::declare<ScheduleConfig>(
        "optim",
        {
            option("schedule", &ScheduleConfig::schedule, "learning-rate schedule").one_of({"constant", "cosine", "linear", "reference"}),
            option("warmup_steps", &ScheduleConfig::warmup_steps, "updates of the linear ramp; -1 = 2 % of the run", -1, 1 << 30),
            option("min_lr_ratio", &ScheduleConfig::min_lr_ratio, "final rate over base rate (cosine, linear)", 0, 1),
            option("warmdown_steps", &ScheduleConfig::warmdown_steps, "updates of the final fall (linear, reference)", 0, 1 << 30)
                .env("WARMDOWN_ITERS"),
        });
    std::vector<Field> fields = own.fields();
    for (Field f : nested.fields()) {
      const auto set = f.set;
      const auto get = f.get;
      f.set = [set](void* o, const core::Value& v) { set(&static_cast<OptimConfig*>(o)->schedule, v); };
      f.get = [get](const void* o) { return get(&static_cast<const OptimConfig*>(o)->schedule); };
      fields.push_back(std::move(f));
    }
    return core::Schema("optim", std::move(fields));
  }();
  return s;
}

std::vector<Group> groups_of(const tensor::Params& params, double weight_decay) {
  std::vector<Group> groups;
  for (const auto& e : params.entries()) {
    const int64_t i = &e - params.entries().data();
    if (!e.treatment.trained) continue;
    const Group g{i, i + 1, e.treatment.lr_scale, weight_decay * e.treatment.decay_scale};
    if (!groups.empty() && groups.back().last == i && groups.back().lr_scale == g.lr_scale && groups.back().weight_decay == g.weight_decay)
      groups.back().last = i + 1;
    else groups.push_back(g);
  }
  return groups;
}

Adam::Adam(tensor::Params& params, const OptimConfig& config) : Adam(params, config, groups_of(params, config.weight_decay)) {}

Adam::Adam(tensor::Params& params, const OptimConfig& config, std::vector<Group> groups)
    : params_(params), config_(config), groups_(std::move(groups)), m_(params.like_values()), v_(params.like_values()) {}

std::vector<ops::AdamGroup> Adam::flat_groups() const {
  const auto& entries = params_.entries();
  std::vector<ops::AdamGroup> flat;
  for (const Group& g : groups_) {
    if (g.first == g.last) continue;
    const bool to_end = g.last == static_cast<int64_t>(entries.size());
    flat.push_back({entries[static_cast<size_t>(g.first)].offset,
                    to_end ? params_.values().size(0) : entries[static_cast<size_t>(g.last)].offset, g.lr_scale, g.weight_decay});
  }
  return flat;
}

void Adam::update(double lr) {
  const at::NoGradGuard no_grad;
  ++updates_;
  const auto& entries = params_.entries();
  for (const Group& g : groups_) {
    if (g.first == g.last) continue;
    const int64_t begin = entries[static_cast<size_t>(g.first)].offset;
    const int64_t end =
        g.last == static_cast<int64_t>(entries.size()) ? params_.values().size(0) : entries[static_cast<size_t>(g.last)].offset;
    const auto part = [&](const Tensor& flat) { return std::vector<Tensor>{flat.narrow(0, begin, end - begin)}; };
    const std::vector<Tensor> p = part(params_.values()), grad = part(params_.grads()), m = part(m_), v = part(v_);
    const std::vector<Tensor> step{at::full({}, static_cast<double>(updates_), at::TensorOptions().device(m_.device()))};
    if (config_.name == "adamw")
      at::_fused_adamw_(p, grad, m, v, {}, step, lr * g.lr_scale, config_.beta1, config_.beta2, g.weight_decay, config_.eps, false, false);
    else
      at::_fused_adam_(p, grad, m, v, {}, step, lr * g.lr_scale, config_.beta1, config_.beta2, g.weight_decay, config_.eps, false, false);
  }
}

double clip_gradient(Tensor& flat, double clip) {
  const double norm = at::linalg_vector_norm(flat).item().toDouble();
  if (clip > 0 && std::isfinite(norm)) {
    const double scale = clip / (norm + 1e-6);
    if (scale < 1) flat.mul_(scale);
  }
  return norm;
}

}  // namespace assay::optim
