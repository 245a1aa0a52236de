#include <algorithm>
#include <limits>
#include <set>

#include "assay/lab/rule.h"
#include "assay/stats/decision.h"
#include "assay/stats/metric.h"

namespace assay::lab {
namespace {

using core::Value;

Value negated(const Value& v) { return v.is_number() ? Value(-v.as_double()) : v; }

// Levels of a score, which is negated where higher is better, as those of the metric. Differences mean the same in both.
void restore_levels(Value& hypothesis) {
  for (const char* key : {"escape_threshold", "cap"}) hypothesis[key] = negated(hypothesis.at(key));
  hypothesis["escape_below"] = false;
}
void restore_verdict_levels(Value& v) {
  for (const char* key : {"quantiles", "control_quantiles"}) {
    Value::Array reversed;
    for (const Value& q : v.at(key).as_array()) reversed.insert(reversed.begin(), negated(q));
    v[key] = Value(reversed);
  }
  if (v.at("escape").is_object()) v["escape"]["threshold"] = negated(v.at("escape").at("threshold"));
}

stats::Design design_of(const Recipe& recipe, const std::optional<double>& cap) {
  stats::Design d;
  for (const size_t arm : compared_arms(recipe)) {
    stats::Hypothesis h;
    h.arm = recipe.arms[arm].name;
    h.control = recipe.arms[control_of(recipe, arm)].name;
    h.metric = recipe.metric;
    const stats::Metric& metric = stats::metric_named(recipe.metric);
    h.unit = metric.unit;
    h.margin = recipe.smallest_effect;
    if (recipe.escape_threshold) h.escape_threshold = metric.score(*recipe.escape_threshold);
    h.cap = cap;
    d.hypotheses.push_back(h);
  }
  d.alpha = recipe.error_rate;
  d.max_seeds = static_cast<int64_t>(recipe.seeds.size());
  d.futility = recipe.futility;
  return d;
}

// Rounds, one seed each, fed to stats::Decision in the recipe's order as far as they are there.
class SequentialRule final : public Rule {
 public:
  SequentialRule(const Recipe& recipe, const Standings& standings)
      : recipe_(recipe),
        standings_(standings),
        arms_(compared_arms(recipe)),
        decision_(design_of(recipe, standings.cap)),
        stopped_at_(recipe.arms.size(), std::numeric_limits<size_t>::max()) {
    for (size_t h = 0; h < arms_.size(); ++h) {
      const std::string& of_control = standings.refused[control(h)];
      const std::string reason = of_control.empty() ? standings.refused[arms_[h]] : "the control is refused: " + of_control;
      if (!reason.empty()) decision_.refuse(static_cast<int64_t>(h), reason);
      note_stop(h, 0);
    }
    for (const stats::Hypothesis& h : decision_.design().hypotheses)
      fewest_ = std::max(fewest_, static_cast<size_t>(stats::fewest_seeds(decision_.design(), h)));
    feed();
  }

  // Until the first seed at which anything can be decided all members are needed; then one seed is begun beside the one that is looked at,
  // so that no processor waits. What turns out not to be needed does not count.
  bool wanted(size_t arm, size_t seed) const override {
    if (!decision_.running() || seed >= std::min(recipe_.stop_after, recipe_.seeds.size()) || seed >= std::max(fewest_, frontier_ + 2))
      return false;
    return runs_at(arm, seed);
  }

  bool counts(size_t arm, size_t seed) const override { return fed_.count(seed) != 0 && runs_at(arm, seed); }

  const char* word(size_t arm) const override {
    return is_control(recipe_, arm) ? "control" : stats::name_of(decision_.word(hypothesis(arm)));
  }
  int64_t rounds() const override { return decision_.rounds(); }
  Value design() const override {
    Value v = stats::document_of(decision_.design());
    if (stats::metric_named(recipe_.metric).higher_is_better)
      for (Value& h : v["hypotheses"].as_array()) restore_levels(h);
    return v;
  }

  void set_text_sd(size_t arm, double sd) override { decision_.set_document_sd(hypothesis(arm), sd); }

  Value verdict(size_t arm) const override {
    if (is_control(recipe_, arm)) {
      Value v = Value::object();
      v["verdict"] = "control";
      v["seeds"] = decision_.rounds();
      return v;
    }
    if (verdicts_.empty()) verdicts_ = decision_.verdicts();
    Value v = stats::document_of(verdicts_[static_cast<size_t>(hypothesis(arm))]);
    if (stats::metric_named(recipe_.metric).higher_is_better) restore_verdict_levels(v);
    for (const char* key : {"mean", "median", "sd"}) {  // of the differences; an arm's own figures stand beside them
      const Value figure = v.at(key);                   // a copy: a new member moves the others
      v[std::string(key) + "_difference"] = figure;
      v.erase(key);
    }
    return v;
  }

 private:
  size_t control(size_t h) const { return control_of(recipe_, arms_[h]); }

  // Whether the arm had not stopped before this seed; a control runs while any arm that is compared with it runs.
  bool runs_at(size_t arm, size_t seed) const {
    if (!is_control(recipe_, arm)) return seed < stopped_at_[arm];
    for (size_t h = 0; h < arms_.size(); ++h)
      if (control(h) == arm && seed < stopped_at_[arms_[h]]) return true;
    return false;
  }

  int64_t hypothesis(size_t arm) const { return std::find(arms_.begin(), arms_.end(), arm) - arms_.begin(); }

  void note_stop(size_t h, size_t rounds_fed) {
    if (!decision_.running(static_cast<int64_t>(h))) stopped_at_[arms_[h]] = std::min(stopped_at_[arms_[h]], rounds_fed);
  }

  void stop_by_hand(size_t seed) {
    for (size_t h = 0; h < arms_.size(); ++h) {
      if (decision_.running(static_cast<int64_t>(h))) decision_.stop_by_hand(static_cast<int64_t>(h));
      note_stop(h, seed);
    }
  }

  // Feeds seed after seed; a seed of which a score is missing is not a round, and one of which a score is awaited is where looking ends.
  void feed() {
    for (size_t s = 0; s < recipe_.seeds.size() && decision_.running(); ++s) {
      frontier_ = s;
      if (s == recipe_.stop_after) stop_by_hand(s);
      if (!decision_.running()) return;
      std::vector<stats::Scores> round(arms_.size());
      bool missing = false;
      for (size_t h = 0; h < arms_.size(); ++h) {
        if (!decision_.running(static_cast<int64_t>(h))) continue;
        const Score &reference = standings_.scores[control(h)][s], &arm = standings_.scores[arms_[h]][s];
        if (reference.kind == Score::Kind::waiting || arm.kind == Score::Kind::waiting) return;
        missing = missing || reference.kind == Score::Kind::missing || arm.kind == Score::Kind::missing;
        round[h] = {reference.value, arm.value};
      }
      if (missing) continue;
      decision_.feed(round);
      fed_.insert(s);
      for (size_t h = 0; h < arms_.size(); ++h) note_stop(h, s + 1);
    }
    frontier_ = recipe_.seeds.size();
  }

  const Recipe& recipe_;
  const Standings standings_;
  std::vector<size_t> arms_;
  stats::Decision decision_;
  std::vector<size_t> stopped_at_;  // [arm of the recipe]: first seed that it does not need
  std::set<size_t> fed_;
  size_t frontier_ = 0, fewest_ = 0;
  mutable std::vector<stats::Verdict> verdicts_;  // made when first asked for
};

}  // namespace

std::unique_ptr<Rule> sequential_rule(const Recipe& recipe, const Standings& standings) {
  return std::make_unique<SequentialRule>(recipe, standings);
}

}  // namespace assay::lab
