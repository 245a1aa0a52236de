#pragma once
#include "assay/ops/adam/adam.h"
#include "assay/optim/schedule.h"
#include "assay/tensor/params.h"

namespace assay::optim {

struct OptimConfig {
  std::string name = "adam";
  double lr = 0.003, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0, clip = 1;
  std::string eps_form = "corrected";
  double momentum = -1;

  double companion_lr = 0.3;
  std::string muon_orth = "newton_schulz", muon_geodesic = "none", muon_precision = "fp32";
  int64_t muon_iterations = 0;
  bool muon_nesterov = false, muon_normuon = false, muon_cautious = false;
  double muon_normuon_beta = 0.95;

  std::string conditioning = "none";
  double conditioning_s0 = 1, conditioning_p = 0.25, conditioning_q = 0.25, conditioning_b0 = 1e-4, conditioning_eta = 1e-3;

  ScheduleConfig schedule;
  int64_t warmup_updates = 0;
  static const core::Schema& schema();  // section "optim"
  // ConfigError where two options contradict each other; names both.
  void check() const;
  double momentum_or_default() const;
};

// A run of neighbouring parameters that share rate and decay.
struct Group {
  int64_t first = 0, last = 0;  // entries [first, last)
  double lr_scale = 1, weight_decay = 0;
};

// Neighbours of equal treatment, in order; parameters that are not trained belong to none.
std::vector<Group> groups_of(const tensor::Params& params, double weight_decay);
// The group's part of a flat buffer of the parameters' layout.
Tensor part_of(const Tensor& flat, const tensor::Params& params, const Group& g);

// A tensor that the next update depends on beside the weights: what a checkpoint holds.
struct NamedState {
  std::string name;  // "exp_avg/blocks.0.attn.qkv.weight"
  Tensor value;      // of fixed address, to be read or written in place
};

// Moments, groups and numbers of an Adam whose bias correction is the usual one.
struct AdamOnDevice {
  Tensor first, second;
  std::vector<ops::AdamGroup> groups;
  ops::AdamSettings settings;
};

// An update rule over the parameters of one model. An update reads nothing back from the device; all that it keeps has a fixed address.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  // One update at the rate `lr` (after the schedule) from params.grads(), which gradient conditioning overwrites.
  void update(double lr);
  int64_t updates() const { return updates_; }
  virtual void set_updates(int64_t n) { updates_ = n; }  // as a checkpoint says
  virtual std::vector<NamedState> state() = 0;
  // Where the rule is one pass of ops::adam_: what that pass needs, for a step that is recorded. Otherwise empty.
  virtual std::optional<AdamOnDevice> on_device() { return std::nullopt; }

 protected:
  explicit Optimizer(tensor::Params& params) : params_(params) {}
  virtual void step(double lr) = 0;  // updates() counts this one already
  tensor::Params& params_;
  // prefix/NAME for every parameter: views of a flat buffer.
  void append(std::vector<NamedState>& out, const std::string& prefix, const Tensor& flat) const;

 private:
  int64_t updates_ = 0;
};

// What `name` stands for, wrapped in gradient conditioning where it is asked for. ConfigError as OptimConfig::check.
std::unique_ptr<Optimizer> make_optimizer(tensor::Params& params, const OptimConfig& config);

struct OptimizerInfo {
  const char* name;
  const char* summary;
  std::unique_ptr<Optimizer> (*make)(tensor::Params& params, const OptimConfig& config);
};
const std::vector<OptimizerInfo>& optimizers();

// Global L2 norm of the flat gradient, then g *= min(1, clip / (norm + 1e-6)) where clip > 0 [vocab-space 5.2]. Returns the norm
// before clipping; a non-finite norm leaves the gradient as it is.
double clip_gradient(Tensor& flat, double clip);

}  // namespace assay::optim
