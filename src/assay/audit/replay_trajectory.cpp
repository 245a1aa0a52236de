#include <ATen/ops/abs.h>

#include <algorithm>
#include <cmath>

#include "assay/audit/vectors.h"
#include "assay/core/error.h"
#include "assay/train/step.h"

namespace assay::audit {
namespace {

// A trajectory's optimizer as ours, with what surrounds it.
struct Recipe {
  optim::OptimConfig optim;
  core::Value model = core::Value::object();  // options of the model that a file keeps with its optimizer
  int64_t steps = 0, accumulation = 1;
  double relative_bound = 1e-5;
};

// The vocabulary-space trainer [vocab-space 5]: Adam with coupled decay, clipping, warm-up updates, warm-down.
Recipe vocabulary_recipe(const core::Value& o, const std::string& path) {
  refuse_unknown(
      o, {"lr", "beta1", "beta2", "eps", "weight_decay", "clip", "warmup_steps", "iterations", "warmdown_iters", "grad_accum_steps"}, path);
  Recipe r;
  r.optim.lr = o.at("lr").as_double();
  r.optim.beta1 = number(o, "beta1", 0.9);
  r.optim.beta2 = number(o, "beta2", 0.999);
  r.optim.eps = number(o, "eps", 1e-8);
  r.optim.weight_decay = number(o, "weight_decay", 0);
  r.optim.clip = number(o, "clip", 1);
  r.optim.warmup_updates = static_cast<int64_t>(number(o, "warmup_steps", 0));
  r.optim.schedule.schedule = "reference";
  r.optim.schedule.warmdown_steps = static_cast<int64_t>(number(o, "warmdown_iters", 1200));
  r.steps = o.at("iterations").as_int();
  r.accumulation = static_cast<int64_t>(number(o, "grad_accum_steps", 1));
  r.relative_bound = 2e-4;
  return r;
}

// The decoder's trainer [components 1.3]: Adam with decoupled decay on everything.
Recipe decoder_recipe(const core::Value& o, int64_t steps, const std::string& path) {
  const std::vector<std::string> pull{"hebbian_window", "hebbian_eps", "hebbian_mode"};
  std::vector<std::string> known{"kind", "lr", "beta1", "beta2", "eps", "wd", "clip", "schedule", "warmup", "min_lr"};
  known.insert(known.end(), pull.begin(), pull.end());
  refuse_unknown(o, known, path);
  Recipe r;
  for (const std::string& option : pull)
    if (const core::Value* v = o.find(option)) r.model[option] = core::Value(*v);
  r.steps = steps;
  r.optim.name = "adamw";
  r.optim.lr = o.at("lr").as_double();
  r.optim.beta1 = number(o, "beta1", 0.9);
  r.optim.beta2 = number(o, "beta2", 0.999);
  r.optim.eps = number(o, "eps", 1e-8);
  r.optim.weight_decay = number(o, "wd", 0);
  r.optim.clip = number(o, "clip", 0);
  const core::Value* schedule = o.find("schedule");
  const std::string name = schedule == nullptr ? "constant" : schedule->as_string();
  if (name != "constant" && name != "warmup_cosine" && name != "cosine")
    throw core::ConfigError("parity", path + ": " + core::unknown_name("schedule", name, {"constant", "cosine", "warmup_cosine"}));
  r.optim.schedule.schedule = name == "constant" ? "constant" : "cosine";
  r.optim.schedule.warmup_steps = static_cast<int64_t>(number(o, "warmup", 0));
  r.optim.schedule.min_lr_ratio = number(o, "min_lr", 0) / r.optim.lr;
  return r;
}

// The normalised decoder's trainers [components 6.1, 6.4]: AdamW with decay on everything, or Muon with its own Adam; a constant rate.
Recipe ngpt_recipe(const core::Value& o, int64_t steps, const std::string& path) {
  const bool muon = o.at("kind").as_string() == "ngpt_muon";
  std::vector<std::string> known{
      "kind", "lr", "beta1", "beta2", "eps", "clip", "other_lr_factor", "project", "project_every", "drift_threshold", "target_radius"};
  const std::vector<std::string> own =
      muon ? std::vector<std::string>{"orth", "momentum", "nesterov", "normuon", "normuon_beta", "cautious", "geodesic", "wd"}
           : std::vector<std::string>{"wd"};
  known.insert(known.end(), own.begin(), own.end());
  refuse_unknown(o, known, path);
  Recipe r;
  r.steps = steps;
  r.optim.name = muon ? "muon" : "adamw";
  r.optim.lr = o.at("lr").as_double();
  r.optim.beta1 = number(o, "beta1", 0.9);
  r.optim.beta2 = number(o, "beta2", 0.999);
  r.optim.eps = number(o, "eps", 1e-8);
  r.optim.weight_decay = number(o, "wd", 0);
  r.optim.clip = number(o, "clip", 0);
  r.optim.schedule.schedule = "constant";
  const auto flag = [&](const char* key) { return o.find(key) != nullptr && o.at(key).as_bool(); };
  if (muon) {
    r.optim.momentum = number(o, "momentum", 0.95);
    if (o.find("orth") != nullptr) r.optim.muon_orth = o.at("orth").as_string();
    if (o.find("geodesic") != nullptr) r.optim.muon_geodesic = o.at("geodesic").as_string();
    r.optim.muon_nesterov = flag("nesterov");
    r.optim.muon_normuon = flag("normuon");
    r.optim.muon_cautious = flag("cautious");
    r.optim.muon_normuon_beta = number(o, "normuon_beta", 0.95);
  }
  if (o.find("project") != nullptr) r.model["projection"] = core::Value(o.at("project"));
  for (const auto& [key, option] : {std::pair("project_every", "project_every"), std::pair("drift_threshold", "drift_threshold"),
                                    std::pair("target_radius", "target_radius"), std::pair("other_lr_factor", "other_lr")})
    if (const core::Value* v = o.find(key)) r.model[option] = core::Value(*v);
  return r;
}

// The vendor's trainer [6.2]: Adam without decay, cosine to 0, clipping.
Recipe official_recipe(const core::Value& o, int64_t steps, const std::string& path) {
  Recipe r = decoder_recipe(o, steps, path);
  r.optim.beta2 = number(o, "beta2", 0.95);
  return r;
}

// Gradient conditioning before gradient descent with momentum [8.2].
Recipe conditioned_recipe(const core::Value& o, int64_t steps, const std::string& path) {
  refuse_unknown(o, {"kind", "lr", "momentum", "wd", "clip", "conditioning", "s0", "p", "q", "b0", "eta"}, path);
  Recipe r;
  r.steps = steps;
  r.optim.name = "sgd";
  r.optim.lr = o.at("lr").as_double();
  r.optim.momentum = number(o, "momentum", 0.9);
  r.optim.weight_decay = number(o, "wd", 0);
  r.optim.clip = number(o, "clip", 0);
  r.optim.schedule.schedule = "constant";
  r.optim.conditioning = o.find("conditioning") != nullptr ? o.at("conditioning").as_string() : "rule";
  r.optim.conditioning_s0 = number(o, "s0", r.optim.conditioning_s0);
  r.optim.conditioning_p = number(o, "p", r.optim.conditioning_p);
  r.optim.conditioning_q = number(o, "q", r.optim.conditioning_q);
  r.optim.conditioning_b0 = number(o, "b0", r.optim.conditioning_b0);
  r.optim.conditioning_eta = number(o, "eta", r.optim.conditioning_eta);
  return r;
}

Recipe recipe_of(const Vectors& v) {
  const core::Value o = v.metadata("optimizer");
  if (!o.is_object()) throw core::DataError("parity", v.path() + ": the metadata has no 'optimizer' object");
  if (o.find("kind") == nullptr) return vocabulary_recipe(o, v.path());
  const std::string kind = o.at("kind").as_string();
  const int64_t steps = v.file().at("loss").numel();
  if (kind == "gpt2" || kind == "adamw") return decoder_recipe(o, steps, v.path());
  if (kind == "ngpt_adamw" || kind == "ngpt_muon") return ngpt_recipe(o, steps, v.path());
  if (kind == "official") return official_recipe(o, steps, v.path());
  if (kind == "sgd_gradcond") return conditioned_recipe(o, steps, v.path());
  throw core::ConfigError(
      "parity", v.path() + ": " +
                    core::unknown_name("optimizer kind", kind, {"adamw", "gpt2", "ngpt_adamw", "ngpt_muon", "official", "sgd_gradcond"}));
}

// How often the model has projected its weights so far; nothing for a model that does not say.
std::optional<double> projections(const arch::Built& b) {
  for (const auto& s : b.params->states())
    if (s.name == "projections") return s.value.item().toDouble();
  return std::nullopt;
}

Deviation relative(const Vectors& v, const std::string& name, const std::vector<double>& got, double bound) {
  const Tensor want = v.at(name, at::kDouble);
  if (want.numel() != static_cast<int64_t>(got.size()))
    throw core::DataError("parity", v.path() + ": '" + name + "' has " + std::to_string(want.numel()) + " entries; the trajectory makes " +
                                        std::to_string(got.size()));
  Deviation d{name, 0, bound};
  for (size_t i = 0; i < got.size(); ++i) {
    const double w = want.data_ptr<double>()[i], error = std::abs(got[i] - w) / std::max(std::abs(w), 1e-30);
    if (!(error <= d.error)) d.error = error;  // keeps NaN
  }
  return d;
}

// Counts must agree exactly.
Deviation absolute(const Vectors& v, const std::string& name, const std::vector<double>& got) {
  Tensor t = at::empty({static_cast<int64_t>(got.size())}, at::TensorOptions().dtype(at::kDouble));
  std::copy(got.begin(), got.end(), t.data_ptr<double>());
  return v.compare(name, t, 0);
}

}  // namespace

ParityReport replay_trajectory(const Vectors& v, const ParityOptions& options) {
  const Recipe recipe = recipe_of(v);
  const core::TensorView& ids = v.file().at("input_ids");
  if (ids.shape.size() != 3 || recipe.steps < 1 || recipe.accumulation < 1 || ids.shape[0] < recipe.steps * recipe.accumulation)
    throw core::DataError("parity", v.path() + ": input_ids must be [steps * accumulation, B, T]");
  const arch::Built built = v.build(ids.shape[2], options, recipe.model);
  const auto optimizer = optim::make_optimizer(*built.params, recipe.optim);
  const auto batches = [&](int64_t n) {
    std::vector<train::Batch> out;
    for (int64_t a = 0; a < recipe.accumulation; ++a) out.push_back(v.batch(n * recipe.accumulation + a, options));
    return out;
  };
  std::vector<double> warm_loss, warm_norm, loss, norm, rate, projected;
  for (int64_t n = 0; n < recipe.optim.warmup_updates; ++n) {
    const train::StepResult r = train::training_step(built, *optimizer, batches(n), recipe.optim.lr, recipe.optim.clip, {n, recipe.steps});
    warm_loss.push_back(r.loss);
    warm_norm.push_back(r.grad_norm);
  }
  for (int64_t n = 0; n < recipe.steps; ++n) {
    const double lr = recipe.optim.lr * optim::multiplier(recipe.optim.schedule, {n, recipe.steps, 0, 0});
    const std::optional<double> before = projections(built);
    const train::StepResult r = train::training_step(built, *optimizer, batches(n), lr, recipe.optim.clip, {n, recipe.steps});
    loss.push_back(r.loss);
    norm.push_back(r.grad_norm);
    rate.push_back(lr);
    if (before) projected.push_back(*projections(built) - *before);
  }
  ParityReport report{v.path(), "trajectory", {}};
  if (!warm_loss.empty() && v.has("warmup_loss")) {
    report.deviations.push_back(relative(v, "warmup_loss", warm_loss, recipe.relative_bound));
    report.deviations.push_back(relative(v, "warmup_grad_norm", warm_norm, recipe.relative_bound));
  }
  report.deviations.push_back(relative(v, "loss", loss, recipe.relative_bound));
  report.deviations.push_back(relative(v, "grad_norm", norm, recipe.relative_bound));
  report.deviations.push_back(relative(v, "lr", rate, 1e-6));
  if (v.has("projected") && !projected.empty()) report.deviations.push_back(absolute(v, "projected", projected));
  const core::Value deviation = v.metadata("float32_deviation");
  const auto bound = [&](const std::string& name) {
    const core::Value* noise = deviation.is_object() && deviation.find("final") != nullptr ? deviation.at("final").find(name) : nullptr;
    return 1e-6 + 10 * (noise != nullptr ? noise->as_double() : 0);
  };
  for (const auto& e : built.params->entries()) report.deviations.push_back(v.compare("final/" + e.name, e.value, bound(e.name)));
  for (const auto& s : built.params->states())
    if (v.has("final_state/" + s.name)) report.deviations.push_back(v.compare("final_state/" + s.name, s.value, bound(s.name)));
  return report;
}

}  // namespace assay::audit
