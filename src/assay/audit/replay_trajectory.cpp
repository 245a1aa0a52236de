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

double number(const core::Value& v, std::string_view key, double fallback) {
  const core::Value* found = v.find(key);
  return found == nullptr ? fallback : found->as_double();
}

void refuse_unknown(const core::Value& v, const std::vector<std::string>& known, const std::string& path) {
  for (const auto& [key, value] : v.as_object())
    if (std::find(known.begin(), known.end(), key) == known.end())
      throw core::ConfigError("parity", path + ": " + core::unknown_name("optimizer setting", key, known));
}

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

Recipe recipe_of(const Vectors& v) {
  const core::Value o = v.metadata("optimizer");
  if (!o.is_object()) throw core::DataError("parity", v.path() + ": the metadata has no 'optimizer' object");
  const core::Value* kind = o.find("kind");
  if (kind == nullptr) return vocabulary_recipe(o, v.path());
  if (kind->as_string() == "gpt2" || kind->as_string() == "adamw") return decoder_recipe(o, v.file().at("loss").numel(), v.path());
  throw core::ConfigError("parity", v.path() + ": " + core::unknown_name("optimizer kind", kind->as_string(), {"adamw", "gpt2"}));
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

}  // namespace

ParityReport replay_trajectory(const Vectors& v, const ParityOptions& options) {
  const Recipe recipe = recipe_of(v);
  const core::TensorView& ids = v.file().at("input_ids");
  if (ids.shape.size() != 3 || recipe.steps < 1 || recipe.accumulation < 1 || ids.shape[0] < recipe.steps * recipe.accumulation)
    throw core::DataError("parity", v.path() + ": input_ids must be [steps * accumulation, B, T]");
  const arch::Built built = v.build(ids.shape[2], options, recipe.model);
  optim::Adam optimizer(*built.params, recipe.optim);
  const auto batches = [&](int64_t n) {
    std::vector<train::Batch> out;
    for (int64_t a = 0; a < recipe.accumulation; ++a) out.push_back(v.batch(n * recipe.accumulation + a, options));
    return out;
  };
  std::vector<double> warm_loss, warm_norm, loss, norm, rate;
  for (int64_t n = 0; n < recipe.optim.warmup_updates; ++n) {
    const train::StepResult r = train::training_step(built, optimizer, batches(n), recipe.optim.lr, recipe.optim.clip, {n, recipe.steps});
    warm_loss.push_back(r.loss);
    warm_norm.push_back(r.grad_norm);
  }
  for (int64_t n = 0; n < recipe.steps; ++n) {
    const double lr = recipe.optim.lr * optim::multiplier(recipe.optim.schedule, {n, recipe.steps, 0, 0});
    const train::StepResult r = train::training_step(built, optimizer, batches(n), lr, recipe.optim.clip, {n, recipe.steps});
    loss.push_back(r.loss);
    norm.push_back(r.grad_norm);
    rate.push_back(lr);
  }
  ParityReport report{v.path(), "trajectory", {}};
  if (!warm_loss.empty() && v.has("warmup_loss")) {
    report.deviations.push_back(relative(v, "warmup_loss", warm_loss, recipe.relative_bound));
    report.deviations.push_back(relative(v, "warmup_grad_norm", warm_norm, recipe.relative_bound));
  }
  report.deviations.push_back(relative(v, "loss", loss, recipe.relative_bound));
  report.deviations.push_back(relative(v, "grad_norm", norm, recipe.relative_bound));
  report.deviations.push_back(relative(v, "lr", rate, 1e-6));
  const core::Value deviation = v.metadata("float32_deviation");
  for (const auto& e : built.params->entries()) {
    const core::Value* noise = deviation.is_object() && deviation.find("final") != nullptr ? deviation.at("final").find(e.name) : nullptr;
    report.deviations.push_back(v.compare("final/" + e.name, e.value, 1e-6 + 10 * (noise != nullptr ? noise->as_double() : 0)));
  }
  return report;
}

}  // namespace assay::audit
