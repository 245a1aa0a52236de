#include "assay/lab/budget.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "assay/core/error.h"
#include "assay/core/log.h"
#include "assay/lab/dry_run.h"
#include "assay/lab/rule.h"

namespace assay::lab {
namespace {

using core::Value;

constexpr int64_t kNearby = 16;                 // values that are tried where one is not accepted
constexpr int64_t kLargest = int64_t{1} << 24;  // of a solved option
constexpr const char* kCorpus = "data.corpus_tokens";

double number(const Value& plan, const char* key) {
  const Value v = said(plan, key);
  return v.is_number() ? v.as_double() : 0;
}

int64_t integer(const Value& plan, const char* key) {
  const Value v = said(plan, key);
  return v.is_int() ? v.as_int() : 0;
}

double flops_of(const Value& plan) {
  return number(plan, "total_steps") * number(plan, "tokens_per_step") * number(plan, "training_flops_per_token");
}

const Arm& control_for(const Recipe& recipe, const Arm& arm) {
  return recipe.arms[control_of(recipe, static_cast<size_t>(&arm - recipe.arms.data()))];
}

std::string percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%+.2f %%", 100 * share);
  return text;
}

[[noreturn]] void refuse(const Recipe& recipe, const Arm& arm, const std::string& key, const std::string& message) {
  throw core::ConfigError("campaign", recipe.at_option("arm." + arm.name + "." + key) + ": arm '" + arm.name + "': " + message);
}

// The value of an arm's option whose parameter count comes nearest to the wanted one; the count grows with the option.
class Solver {
 public:
  Solver(const Recipe& recipe, const Arm& arm, const Request& request, const Pinned& pinned, int64_t wanted)
      : recipe_(recipe), arm_(arm), request_(request), pinned_(pinned), wanted_(wanted) {}

  int64_t solve(int64_t start) {
    std::optional<int64_t> low, high;  // multiples below and from the wanted count
    if (start % arm_.solve_multiple == 0) known_[start / arm_.solve_multiple] = integer(pinned_.arms.at(arm_.name), "parameters");
    for (int64_t k = std::max<int64_t>(1, start / arm_.solve_multiple); !high || !low;) {
      const std::optional<int64_t> at = accepted(k, high.value_or(INT64_MAX));
      if (!at) {
        if (high) break;  // nothing smaller is accepted
        refuse(recipe_, arm_, "solve", "no value of " + arm_.solve + " near " + std::to_string(k * arm_.solve_multiple) + " is accepted");
      }
      (parameters(*at) < wanted_ ? low : high) = *at;
      if (high && *high == 1) break;
      if (!high && *at * arm_.solve_multiple > kLargest)
        refuse(recipe_, arm_, "solve",
               arm_.solve + " up to " + std::to_string(kLargest) + " leaves it with fewer parameters than the control");
      if (!high) k = *at * 2;
      else if (!low) k = std::max<int64_t>(1, *high / 2);
    }
    if (!low) return *high * arm_.solve_multiple;
    while (*high - *low > 1) {
      const std::optional<int64_t> at = accepted(*low + (*high - *low) / 2, *high);
      if (!at) break;  // none between the middle and the upper end
      (parameters(*at) < wanted_ ? low : high) = *at;
    }
    return (distance(*low) < distance(*high) ? *low : *high) * arm_.solve_multiple;
  }

 private:
  // The first multiple from k, below `end`, that the program accepts.
  std::optional<int64_t> accepted(int64_t k, int64_t end) {
    for (int64_t i = k; i < std::min(end, k + kNearby); ++i)
      if (parameters(i) > 0) return i;
    return std::nullopt;
  }

  int64_t parameters(int64_t k) {  // 0: refused
    const auto known = known_.find(k);
    if (known != known_.end()) return known->second;
    pinned_.set[arm_.name][arm_.solve] = k * arm_.solve_multiple;
    const std::optional<Value> plan = try_dry_run(recipe_, arm_, request_, pinned_);
    return known_[k] = plan ? integer(*plan, "parameters") : 0;
  }

  double distance(int64_t k) { return std::abs(std::log(static_cast<double>(parameters(k)) / static_cast<double>(wanted_))); }

  const Recipe& recipe_;
  const Arm& arm_;
  const Request& request_;
  Pinned pinned_;  // a copy to try values in
  int64_t wanted_;
  std::map<int64_t, int64_t> known_;
};

void match_parameters(const Recipe& recipe, const Arm& arm, const Request& request, Pinned& pinned) {
  const int64_t wanted = integer(pinned.arms.at(control_for(recipe, arm).name), "parameters");
  if (wanted == 0) refuse(recipe, arm, "solve", "the control has no parameters to match");
  const Value written = configured(pinned.arms.at(arm.name), arm.solve);
  const Value* own = arm.options.find(arm.solve);
  const int64_t start = own && own->is_int() ? own->as_int() : written.is_int() ? written.as_int() : arm.solve_multiple;
  pinned.set[arm.name][arm.solve] = Solver(recipe, arm, request, pinned, wanted).solve(start);
}

void match_flops(const Recipe& recipe, const Arm& arm, Pinned& pinned) {
  const Value& plan = pinned.arms.at(arm.name);
  const double wanted = flops_of(pinned.arms.at(control_for(recipe, arm).name));
  const double of_update = number(plan, "tokens_per_step") * number(plan, "training_flops_per_token");
  if (!(wanted > 0) || !(of_update > 0)) refuse(recipe, arm, "arch", "no floating-point operations are known of it or of the control");
  const auto updates = static_cast<int64_t>(std::llround(wanted / of_update));
  if (updates < 1) refuse(recipe, arm, "arch", "one update takes more floating-point operations than the whole training of the control");
  pinned.set[arm.name]["train.tokens"] = updates * integer(plan, "tokens_per_step");
}

// A corpus that is made for the run depends on its length: the longest one serves all, so that seeds stay paired.
void share_corpus(const Recipe& recipe, const Request& request, Pinned& pinned) {
  int64_t longest = 0;
  for (const Arm& arm : recipe.arms)
    if (const Value v = configured(pinned.arms.at(arm.name), kCorpus); v.is_int()) longest = std::max(longest, v.as_int());
  for (const Arm& arm : recipe.arms) {
    const Value v = configured(pinned.arms.at(arm.name), kCorpus);
    if (!v.is_int() || v.as_int() == longest || arm.options.find(kCorpus)) continue;
    pinned.set[arm.name][kCorpus] = longest;
    pinned.arms[arm.name] = dry_run(recipe, arm, request, pinned);
  }
}

void tell(const Recipe& recipe, const Arm& arm, const Pinned& pinned) {
  const Value budget = budget_of(recipe, arm, pinned);
  std::string solved;
  for (const auto& [option, value] : budget.at("solved").as_object()) solved += option + " = " + core::to_json(value) + ", ";
  core::info("[campaign] " + arm.name + ": " + solved + percent(budget.at("mismatch").as_double()) + " " + recipe.match + " against " +
             control_for(recipe, arm).name);
}

double matched(const Recipe& recipe, const Value& plan) {
  if (recipe.match == "flops") return flops_of(plan);
  if (recipe.match == "parameters") return number(plan, "parameters");
  return number(plan, "total_steps") * number(plan, "tokens_per_step");
}

}  // namespace

void match_budgets(const Recipe& recipe, const Request& request, Pinned& pinned) {
  for (const Arm& arm : recipe.arms) {
    if (arm.base == recipe.control || recipe.match == "tokens") continue;
    if (recipe.match == "flops") match_flops(recipe, arm, pinned);
    else match_parameters(recipe, arm, request, pinned);
    pinned.arms[arm.name] = dry_run(recipe, arm, request, pinned);
  }
  share_corpus(recipe, request, pinned);
  for (const Arm& arm : recipe.arms)
    if (arm.base != recipe.control && recipe.match != "tokens") tell(recipe, arm, pinned);
}

Value budget_of(const Recipe& recipe, const Arm& arm, const Pinned& pinned) {
  const Value plan = said(pinned.arms, arm.name), control = said(pinned.arms, control_for(recipe, arm).name);
  const double trained = number(plan, "total_steps") * number(plan, "tokens_per_step");
  Value v = Value::object();
  v["match"] = recipe.match;
  v["tokens"] = trained > 0 ? Value(static_cast<int64_t>(trained)) : Value();
  v["seconds"] = recipe.seconds > 0 ? Value(recipe.seconds) : Value();
  v["training_flops"] = flops_of(plan) > 0 ? Value(flops_of(plan)) : Value();
  v["parameters"] = said(plan, "parameters");
  const double own = matched(recipe, plan), wanted = matched(recipe, control);
  v["mismatch"] = own > 0 && wanted > 0 ? Value(own / wanted - 1) : Value();
  v["solved"] = Value::object();
  if (const Value* set = pinned.set.find(arm.name))
    for (const auto& [option, value] : set->as_object())
      if (option == arm.solve || option == "train.tokens") v["solved"][option] = value;
  return v;
}

}  // namespace assay::lab
