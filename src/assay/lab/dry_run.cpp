#include "assay/lab/dry_run.h"

#include "assay/core/error.h"
#include "assay/lab/devices.h"

namespace assay::lab {
namespace {

using core::Value;

// Where the recipe says what a dry run objects to: its budget, the option that the message names, else the arm.
std::string place_of(const Recipe& recipe, const Arm& arm, const std::string& message) {
  if (message.find("train.tokens") != std::string::npos) return recipe.at({"tokens"});
  const std::string of_arm = "arm." + arm.name + ".";
  for (const auto& [option, value] : arm.options.as_object())
    if (message.find(option) != std::string::npos) return recipe.at_option(of_arm + option);
  return recipe.at_option(of_arm + "arch");
}

[[noreturn]] void refuse(const Recipe& recipe, const Arm& arm, const Captured& answer) {
  std::string reason = last_line(answer.err);
  if (reason.empty()) reason = "the dry run was " + ending_text(answer.ending);
  const std::string message = place_of(recipe, arm, reason) + ": arm '" + arm.name + "': " + reason;
  if (answer.ending.exit_code == static_cast<int>(core::Exit::device)) throw core::DeviceError("campaign", message);
  if (answer.ending.exit_code == static_cast<int>(core::Exit::resource)) throw core::ResourceError("campaign", message);
  throw core::ConfigError("campaign", message);
}

void require_metric(const Recipe& recipe, const Arm& arm, const Value& plan) {
  const Value measures = said(plan, "measures");
  if (!measures.is_array()) return;
  std::string all;
  for (const Value& m : measures.as_array()) {
    if (m == Value(recipe.metric)) return;
    all += (all.empty() ? "" : ", ") + m.as_string();
  }
  throw core::ConfigError("recipe", recipe.at({"metric"}) + ": 'metric' is " + recipe.metric + ", which no run of arm '" + arm.name +
                                        "' measures; it measures " + all);
}

Value plan_of(const Recipe& recipe, const Arm& arm, const Captured& answer) {
  if (answer.ending.signal != 0 || answer.ending.exit_code != 0) refuse(recipe, arm, answer);
  Value plan = core::parse_json(answer.out, "dry run of arm '" + arm.name + "'");
  require_metric(recipe, arm, plan);
  return plan;
}

}  // namespace

Value dry_run(const Recipe& recipe, const Arm& arm, const Request& request, const Pinned& pinned) {
  return plan_of(recipe, arm, capture(dry_run_words(request.program, arm, recipe.seeds.front(), pinned)));
}

std::vector<Value> dry_runs(const Recipe& recipe, const Request& request, const Pinned& pinned) {
  std::vector<Words> programs;
  for (const Arm& arm : recipe.arms) programs.push_back(dry_run_words(request.program, arm, recipe.seeds.front(), pinned));
  const Places places = places_of(recipe, request, pinned.threads);
  const std::vector<Captured> answers = capture_all(programs, places.members, places.devices);
  std::vector<Value> plans;
  for (size_t a = 0; a < answers.size(); ++a) plans.push_back(plan_of(recipe, recipe.arms[a], answers[a]));
  return plans;
}

std::optional<Value> try_dry_run(const Recipe& recipe, const Arm& arm, const Request& request, const Pinned& pinned) {
  const Captured answer = capture(dry_run_words(request.program, arm, recipe.seeds.front(), pinned));
  if (answer.ending.signal == 0 && answer.ending.exit_code == static_cast<int>(core::Exit::bad_input)) return std::nullopt;
  if (answer.ending.signal != 0 || answer.ending.exit_code != 0) refuse(recipe, arm, answer);
  return core::parse_json(answer.out, "dry run of arm '" + arm.name + "'");
}

Value said(const Value& plan, const std::string& key) {
  const Value* v = plan.is_object() ? plan.find(key) : nullptr;
  return v ? *v : Value();
}

Value configured(const Value& plan, const std::string& option) {
  const size_t dot = option.find('.');
  return said(said(said(plan, "config"), option.substr(0, dot)), option.substr(dot + 1));
}

}  // namespace assay::lab
