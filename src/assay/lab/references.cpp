#include "assay/lab/references.h"

#include <algorithm>
#include <numbers>

#include "assay/core/error.h"
#include "assay/data/tasks.h"
#include "assay/lab/comparison.h"
#include "assay/lab/dry_run.h"
#include "assay/results/run_directory.h"

namespace assay::lab {
namespace {

using core::Value;

Value line(const std::string& name, const char* kind, double value) {
  Value v = Value::object();
  v["name"] = name;
  v["kind"] = kind;
  v["value"] = value;
  return v;
}

std::optional<double> entropy_of(const Recipe& recipe, const Evidence& evidence) {
  for (const Row& row : evidence.rows) {
    if (row.standing.state != State::done || !row.standing.summary->entropy) continue;
    const results::Summary& s = *row.standing.summary;
    if (recipe.metric != "val_bits_per_byte") return s.entropy->entropy();
    if (s.val_bits_per_byte && s.val_loss && *s.val_loss > 0) return s.entropy->entropy() * *s.val_bits_per_byte / *s.val_loss;
  }
  return std::nullopt;
}

std::optional<double> baseline_of(const Recipe& recipe, const std::string& directory) try {
  const std::optional<results::Summary> s = results::read_summary(directory);
  if (!s || s->status != "done") return std::nullopt;
  return recipe.metric == "val_bits_per_byte" ? s->val_bits_per_byte : s->val_loss;
} catch (const core::Error&) {
  return std::nullopt;  // a line less in a picture; the members are what counts
}

// The task that all arms are trained on, if each counts its answers and nothing else.
std::optional<data::Task> task_of(const Recipe& recipe, const Pinned& pinned) {
  std::optional<data::Task> all;
  for (const Arm& arm : recipe.arms) {
    const Value plan = said(pinned.arms, arm.name);
    const Value path = configured(plan, "data.path");
    const std::optional<data::Task> task = path.is_string() ? data::find_task(path.as_string()) : std::nullopt;
    if (!task || (all && all->name != task->name) || configured(plan, "train.seq_len") != Value(task->row)) return std::nullopt;
    const Value* scored = plan.is_object() ? plan.find("scored") : nullptr;
    if (!scored || *scored != Value(Value::Array{task->first, task->last + 1})) return std::nullopt;
    all = task;
  }
  return all;
}

void add_task_lines(Value& out, const Recipe& recipe, const Pinned& pinned) {
  const bool accuracy = recipe.metric == "accuracy";
  const std::optional<data::Task> task = recipe.metric == "val_bits_per_byte" ? std::nullopt : task_of(recipe, pinned);
  if (!task) return;
  out.push_back(line("chance", "chance", accuracy ? task->chance_accuracy : task->chance_nats));
  out.push_back(line("oracle", "oracle", accuracy ? task->oracle_accuracy : task->oracle_nats));
}

}  // namespace

std::string reference_directory(const std::string& directory, const std::string& baseline) {
  std::string name = baseline;
  std::replace(name.begin(), name.end(), ':', '-');
  return directory + "/references/" + name;
}

Value references_of(const Recipe& recipe, const Evidence& evidence, const Pinned& pinned) {
  Value out = Value::array();
  add_task_lines(out, recipe, pinned);
  if (recipe.metric == "accuracy") return out;
  if (const auto entropy = entropy_of(recipe, evidence)) out.push_back(line("entropy", "entropy", *entropy));
  for (const std::string& baseline : recipe.baselines)
    if (const auto value = baseline_of(recipe, reference_directory(evidence.directory, baseline)))
      out.push_back(line(baseline, "ngram", *value));
  return out;
}

}  // namespace assay::lab
