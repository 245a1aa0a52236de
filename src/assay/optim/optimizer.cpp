#include "assay/optim/optimizer.h"

#include <ATen/ops/linalg_vector_norm.h>

#include <algorithm>
#include <cmath>

#include "assay/core/error.h"
#include "assay/optim/rules.h"

namespace assay::optim {

const std::vector<OptimizerInfo>& optimizers() {
  static const std::vector<OptimizerInfo> all{
      {"adam", "Adam with bias correction, coupled weight decay", &make_adam},
      {"adamw", "Adam with decoupled weight decay", &make_adam},
      {"sgd", "gradient descent, with momentum where optim.momentum > 0", &make_sgd},
      {"lion", "sign of an interpolated momentum, decoupled weight decay", &make_lion},
      {"muon", "orthogonalised momentum for the matrices of the blocks, Adam for everything else", &make_muon},
  };
  return all;
}

// Members of the nested schedule are options of the same section.
const core::Schema& OptimConfig::schema() {
  using core::Field;
  using core::option;
  static const core::Schema s = [] {
    const core::Schema own = core::declare<OptimConfig>(
        "optim",
        {
            option("name", &OptimConfig::name, "optimizer").one_of({"adam", "adamw", "sgd", "lion", "muon"}),
            option("lr", &OptimConfig::lr, "base learning rate", 0, 1e38).env("LR"),
            option("beta1", &OptimConfig::beta1, "decay of the first moment", 0, 1).env("BETA1"),
            option("beta2", &OptimConfig::beta2, "decay of the second moment", 0, 1).env("BETA2"),
            option("eps", &OptimConfig::eps, "added to the root of the second moment", 1e-30, 1).env("ADAM_EPS"),
            option("eps_form", &OptimConfig::eps_form, "whether the root that eps is added to has its bias corrected (muon's Adam: never)")
                .one_of({"corrected", "uncorrected"}),
            option("weight_decay", &OptimConfig::weight_decay, "coupled with adam and sgd, decoupled with adamw, lion and muon's matrices",
                   0, 100)
                .env("WEIGHT_DECAY"),
            option("momentum", &OptimConfig::momentum, "of sgd and muon; -1 = 0 with sgd, 0.95 with muon", -1, 1),
            option("clip", &OptimConfig::clip, "largest global gradient norm; 0 = no clipping", 0, 1e9).env("GRAD_CLIP_NORM"),
            option("companion_lr", &OptimConfig::companion_lr,
                   "muon: rate of Adam's parameters over optim.lr, where the model does not state a smaller one", 0, 1e6),
            option("muon_orth", &OptimConfig::muon_orth, "muon: orthogonalisation").one_of({"newton_schulz", "polar_express"}),
            option("muon_iterations", &OptimConfig::muon_iterations,
                   "muon: steps of newton_schulz; 0 = 5 as published, which does not converge", 0, 1000),
            option("muon_precision", &OptimConfig::muon_precision, "muon: arithmetic of its products").one_of({"fp32", "bf16"}),
            option("muon_nesterov", &OptimConfig::muon_nesterov, "muon: orthogonalises gradient + momentum x running mean"),
            option("muon_normuon", &OptimConfig::muon_normuon, "muon: scales rows or columns by their running second moment"),
            option("muon_normuon_beta", &OptimConfig::muon_normuon_beta, "muon: decay of that moment", 0, 1),
            option("muon_cautious", &OptimConfig::muon_cautious, "muon: decays only weights that the update does not shrink"),
            option(
                "muon_geodesic", &OptimConfig::muon_geodesic,
                "muon: rotation instead of subtraction; lr and scaled as published (they ascend), corrected: along the tangent, downhill")
                .one_of({"none", "lr", "scaled", "corrected"}),
            option("conditioning", &OptimConfig::conditioning,
                   "g' = s g + b by tensor before the optimizer: rule by size and depth, learnt, or a control")
                .one_of({"none", "rule", "learnt", "scale_only", "shift_only", "permuted", "random"}),
            option("conditioning_s0", &OptimConfig::conditioning_s0, "conditioning: overall scale", 0, 1e6),
            option("conditioning_p", &OptimConfig::conditioning_p, "conditioning: exponent of mean fan-in over fan-in", -10, 10),
            option("conditioning_q", &OptimConfig::conditioning_q, "conditioning: slope over depth", -1, 1),
            option("conditioning_b0", &OptimConfig::conditioning_b0, "conditioning: norm of each shift", 0, 1e6),
            option("conditioning_eta", &OptimConfig::conditioning_eta, "conditioning: rate of learnt scales and shifts over optim.lr", 0,
                   1e6),
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

double OptimConfig::momentum_or_default() const { return momentum >= 0 ? momentum : name == "muon" ? 0.95 : 0; }

// An option that the chosen rule does not read would leave two runs alike that look different.
void OptimConfig::check() const {
  const auto refuse = [&](const std::string& option, const std::string& wants) {
    throw core::ConfigError("optim", option + " is not read with name=" + name + "; it belongs to " + wants);
  };
  const bool adam = name == "adam" || name == "adamw";
  if (name != "muon") {
    for (const core::Field& f : schema().fields())
      if ((f.name.starts_with("muon_") || f.name == "companion_lr") && !(f.get(this) == f.default_value)) refuse(f.name, "name=muon");
    if (name != "sgd" && momentum >= 0) refuse("momentum", "name=sgd or name=muon");
  }
  if (!adam && eps_form != "corrected") refuse("eps_form", "name=adam or name=adamw");
  if (muon_orth == "polar_express" && muon_iterations > 0)
    throw core::ConfigError("optim", "muon_iterations=" + std::to_string(muon_iterations) +
                                         " contradicts muon_orth=polar_express, whose five steps have coefficients of their own");
  if (muon_cautious && weight_decay == 0)
    throw core::ConfigError("optim", "muon_cautious has nothing to do with weight_decay=0: it chooses which weights decay");
  if (muon_geodesic != "none" && weight_decay != 0)
    throw core::ConfigError("optim", "muon_geodesic=" + muon_geodesic + " rotates rows of fixed length; weight_decay=" +
                                         core::to_json(core::Value(weight_decay)) + " contradicts it");
  if (conditioning == "none") {
    for (const core::Field& f : schema().fields())
      if (f.name.starts_with("conditioning_") && !(f.get(this) == f.default_value))
        throw core::ConfigError("optim", f.name + " is not read with conditioning=none");
  } else if (conditioning != "learnt" && conditioning_eta != OptimConfig().conditioning_eta) {
    throw core::ConfigError("optim",
                            "conditioning_eta is not read with conditioning=" + conditioning + "; it belongs to conditioning=learnt");
  }
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

Tensor part_of(const Tensor& flat, const tensor::Params& params, const Group& g) {
  const auto& entries = params.entries();
  const int64_t begin = entries[static_cast<size_t>(g.first)].offset;
  const int64_t end = g.last == static_cast<int64_t>(entries.size()) ? flat.size(0) : entries[static_cast<size_t>(g.last)].offset;
  return flat.narrow(0, begin, end - begin);
}

void Optimizer::update(double lr) {
  const at::NoGradGuard no_grad;
  ++updates_;
  step(lr);
}

void Optimizer::append(std::vector<NamedState>& out, const std::string& prefix, const Tensor& flat) const {
  for (const auto& e : params_.entries()) out.push_back({prefix + "/" + e.name, params_.view(flat, e)});
}

std::unique_ptr<Optimizer> make_optimizer(tensor::Params& params, const OptimConfig& config) {
  config.check();
  std::vector<std::string> known;
  for (const OptimizerInfo& o : optimizers()) {
    known.emplace_back(o.name);
    if (config.name != o.name) continue;
    std::unique_ptr<Optimizer> rule = o.make(params, config);
    return config.conditioning == "none" ? std::move(rule) : make_conditioned(params, config, std::move(rule));
  }
  throw core::ConfigError("optim", core::unknown_name("optimizer", config.name, known));
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
