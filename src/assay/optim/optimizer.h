#pragma once
#include "assay/ops/adam/adam.h"
#include "assay/optim/schedule.h"
#include "assay/tensor/params.h"

namespace assay::optim {

struct OptimConfig {
  std::string name = "adam";
  double lr = 0.003, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0, clip = 1;
  ScheduleConfig schedule;
  int64_t warmup_updates = 0;
  static const core::Schema& schema();  // section "optim"
};

// A run of neighbouring parameters that share rate and decay.
struct Group {
  int64_t first = 0, last = 0;  // entries [first, last)
  double lr_scale = 1, weight_decay = 0;
};

// Neighbours of equal treatment, in order; parameters that are not trained belong to none.
std::vector<Group> groups_of(const tensor::Params& params, double weight_decay);

// Adam (Kingma & Ba 2015) with bias correction and eps added to sqrt(v_hat); weight decay coupled (adam: g <- g + wd p) or decoupled
// (adamw, Loshchilov & Hutter 2019: p <- p (1 - lr wd)). Moments are flat buffers of the parameters' layout; one fused call a group.
class Adam {
 public:
  Adam(tensor::Params& params, const OptimConfig& config);
  Adam(tensor::Params& params, const OptimConfig& config, std::vector<Group> groups);

  void update(double lr);  // lr after the schedule; uses params.grads()
  int64_t updates() const { return updates_; }
  void set_updates(int64_t n) { updates_ = n; }
  Tensor& first_moment() { return m_; }
  Tensor& second_moment() { return v_; }
  // What ops::adam_ needs to make the same update.
  ops::AdamSettings settings() const { return {config_.beta1, config_.beta2, config_.eps, config_.name == "adamw"}; }
  std::vector<ops::AdamGroup> flat_groups() const;

 private:
  tensor::Params& params_;
  OptimConfig config_;
  std::vector<Group> groups_;
  Tensor m_, v_;
  int64_t updates_ = 0;
};

// Global L2 norm of the flat gradient, then g *= min(1, clip / (norm + 1e-6)) where clip > 0 [vocab-space 5.2]. Returns the norm
// before clipping; a non-finite norm leaves the gradient as it is.
double clip_gradient(Tensor& flat, double clip);

}  // namespace assay::optim
