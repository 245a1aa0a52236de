#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "assay/lab/rule.h"
#include "assay/stats/escape.h"
#include "assay/stats/multiplicity.h"
#include "assay/stats/paired.h"

namespace assay::lab {
namespace {

using core::Value;

constexpr size_t kMostFlips = 20;  // seeds up to which all sign vectors are enumerated

Value or_null(double v) { return std::isfinite(v) ? Value(v) : Value(); }

// Every seed of every arm, then Student's paired t test and the exact sign-flip test, Holm's correction over the arms. Before all seeds
// are there nothing is computed, so that nobody can look and stop when he likes what he sees.
class FixedRule final : public Rule {
 public:
  FixedRule(const Recipe& recipe, const Standings& standings) : recipe_(recipe), standings_(standings) {
    std::vector<double> p;
    std::vector<size_t> tested;
    for (const size_t arm : compared_arms(recipe)) {
      Test t;
      t.differences = differences(arm);
      if (recipe.escape_threshold) count_escapes(arm, t);
      t.complete = refused(arm).empty() && t.differences.size() == recipe.seeds.size();
      t.summary = stats::paired_t(t.differences, 1 - recipe.error_rate);
      p.push_back(t.complete ? t.summary.p_two_sided : 1);  // an arm without its seeds keeps its place in the correction
      tested.push_back(arm);
      tests_[arm] = t;
    }
    const std::vector<double> adjusted = stats::holm_adjusted(p);
    for (size_t i = 0; i < tested.size(); ++i) tests_[tested[i]].p_holm = adjusted[i];
  }

  bool wanted(size_t arm, size_t seed) const override {
    return seed < recipe_.stop_after && refused(control_of(recipe_, arm)).empty() && refused(arm).empty();
  }
  bool counts(size_t arm, size_t seed) const override { return score(arm, seed).kind == Score::Kind::scored; }
  const char* word(size_t arm) const override {
    if (is_control(recipe_, arm)) return "control";
    if (!refused(arm).empty()) return "refused";
    const Test& t = tests_.at(arm);
    if (!t.complete || t.p_holm > recipe_.error_rate) return "undecided";
    return t.summary.mean > 0 ? "better" : "worse";
  }
  int64_t rounds() const override {
    int64_t n = 0;
    for (size_t s = 0; s < recipe_.seeds.size(); ++s) {
      bool there = true;
      for (size_t arm = 0; arm < recipe_.arms.size(); ++arm) there = there && (!refused(arm).empty() || counts(arm, s));
      n += there ? 1 : 0;
    }
    return n;
  }
  Value design() const override {
    Value v = Value::object();
    v["alpha"] = recipe_.error_rate;
    v["m"] = tests_.size();
    v["seeds"] = recipe_.seeds.size();
    v["tests"] = "paired t (decides, Holm over arms), exact sign flips (beside)";
    return v;
  }

  Value verdict(size_t arm) const override {
    Value v = Value::object();
    v["verdict"] = word(arm);
    v["seeds"] = is_control(recipe_, arm) ? static_cast<int64_t>(rounds()) : static_cast<int64_t>(tests_.at(arm).differences.size());
    if (is_control(recipe_, arm)) return v;
    const Test& t = tests_.at(arm);
    const bool shown = t.complete && t.summary.n >= 2;
    v["effect"] = shown ? or_null(t.summary.mean) : Value();
    v["effect_method"] = "mean of the paired differences";
    v["interval"] = shown ? Value(Value::Array{t.summary.lower, t.summary.upper}) : Value();
    v["level"] = 1 - recipe_.error_rate;
    v["p_value"] = shown ? Value(t.summary.p_two_sided) : Value();
    v["p_holm"] = shown ? Value(t.p_holm) : Value();
    v["escape"] = escape_document(t);
    v["p_sign_flip"] = shown && t.differences.size() <= kMostFlips ? Value(stats::sign_flip(t.differences).p_two_sided) : Value();
    v["e_value"] = Value();
    v["reason"] = reason(arm);
    v["sentence"] = sentence(arm);
    v["stated_rate"] = recipe_.error_rate;
    return v;
  }

 private:
  struct Test {
    std::vector<double> differences;
    stats::PairedSummary summary;
    bool complete = false;
    double p_holm = 1;
    int64_t pairs = 0, arm_escaped = 0, control_escaped = 0, arm_only = 0, control_only = 0;  // where the recipe has a threshold
  };

  const std::string& refused(size_t arm) const { return standings_.refused[arm]; }
  const Score& score(size_t arm, size_t seed) const { return standings_.scores[arm][seed]; }
  double capped(double value) const {
    if (!standings_.cap) return value;
    return std::isnan(value) ? *standings_.cap : std::min(value, *standings_.cap);
  }

  std::vector<double> differences(size_t arm) const {
    std::vector<double> out;
    for (size_t s = 0; s < recipe_.seeds.size(); ++s) {
      const size_t control = control_of(recipe_, arm);
      if (!counts(arm, s) || !counts(control, s)) continue;
      const double d = capped(score(control, s).value) - capped(score(arm, s).value);
      if (std::isfinite(d)) out.push_back(d);
    }
    return out;
  }

  // A run that diverged has not escaped.
  bool escaped(size_t arm, size_t seed) const { return score(arm, seed).value < *recipe_.escape_threshold; }

  void count_escapes(size_t arm, Test& t) const {
    const size_t control = control_of(recipe_, arm);
    for (size_t s = 0; s < recipe_.seeds.size(); ++s) {
      if (!counts(arm, s) || !counts(control, s)) continue;
      const bool by_arm = escaped(arm, s), by_control = escaped(control, s);
      ++t.pairs;
      t.arm_escaped += by_arm;
      t.control_escaped += by_control;
      t.arm_only += by_arm && !by_control;
      t.control_only += by_control && !by_arm;
    }
  }

  // Beside the verdict, which is about the mean; the exact test of rates is not corrected for the number of arms.
  Value escape_document(const Test& t) const {
    if (!recipe_.escape_threshold || !t.complete) return {};
    const auto rate = [&](int64_t escaped) {
      const stats::Interval i = stats::rate_interval(escaped, t.pairs, recipe_.error_rate);
      Value v = Value::object();
      v["escaped"] = escaped;
      v["runs"] = t.pairs;
      v["interval"] = Value::Array{i.lower, i.upper};
      return v;
    };
    Value v = Value::object();
    v["threshold"] = *recipe_.escape_threshold;
    v["arm"] = rate(t.arm_escaped);
    v["control"] = rate(t.control_escaped);
    v["p_value"] = stats::discordant_p(t.arm_only, t.control_only);
    return v;
  }

  std::string escape_words(const Test& t) const {
    if (!recipe_.escape_threshold) return "";
    return fmt::format("; two modes: escape {} of {} against {} of {} (exact test of the rates alone: p = {:.2g})", t.arm_escaped, t.pairs,
                       t.control_escaped, t.pairs, stats::discordant_p(t.arm_only, t.control_only));
  }

  std::string reason(size_t arm) const {
    if (!refused(arm).empty()) return refused(arm);
    const Test& t = tests_.at(arm);
    if (!t.complete)
      return fmt::format("{} of the {} seeds that were fixed beforehand have both scores", t.differences.size(), recipe_.seeds.size());
    return t.p_holm > recipe_.error_rate ? fmt::format("p = {:.3g} after Holm's correction over {} arms", t.p_holm, tests_.size()) : "";
  }

  std::string sentence(size_t arm) const {
    const std::string verdict = word(arm), name = recipe_.arms[arm].name;
    const Test& t = tests_.at(arm);
    if (verdict == "refused") return "No verdict: " + reason(arm) + ".";
    if (!t.complete) return "Not decided yet: " + reason(arm) + ".";
    const bool loses = verdict == "worse";  // "by" is a positive number
    const std::string figures = loses ? fmt::format("{:.4f} [{:.4f}, {:.4f}]", -t.summary.mean, -t.summary.upper, -t.summary.lower)
                                      : fmt::format("{:.4f} [{:.4f}, {:.4f}]", t.summary.mean, t.summary.lower, t.summary.upper);
    if (verdict == "undecided")
      return fmt::format("Not decided after {} paired seeds: {}, {}{}.", t.summary.n, figures, reason(arm), escape_words(t));
    return fmt::format(
        "{} {} {} by {} after {} paired seeds (paired t, p = {:.2g} after Holm's correction over {} arms; family-wise error rate {:g}){}.",
        name, loses ? "loses to" : "beats", recipe_.arms[control_of(recipe_, arm)].name, figures, t.summary.n, t.p_holm, tests_.size(),
        recipe_.error_rate, escape_words(t));
  }

  const Recipe& recipe_;
  const Standings standings_;
  std::map<size_t, Test> tests_;
};

}  // namespace

std::unique_ptr<Rule> fixed_rule(const Recipe& recipe, const Standings& standings) {
  return std::make_unique<FixedRule>(recipe, standings);
}

}  // namespace assay::lab
