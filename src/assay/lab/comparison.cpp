#include "assay/lab/comparison.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>

#include "assay/core/error.h"
#include "assay/core/hash.h"
#include "assay/lab/budget.h"
#include "assay/lab/changes.h"
#include "assay/lab/deviations.h"
#include "assay/lab/references.h"
#include "assay/lab/rule.h"
#include "assay/lab/validation_noise.h"
#include "assay/stats/describe.h"
#include "assay/stats/measured_rate.h"
#include "assay/stats/metric.h"
#include "assay/stats/paired.h"
#include "assay/stats/planning.h"

namespace assay::lab {
namespace {

using core::Value;

Value number_or_null(double v) { return std::isfinite(v) ? Value(v) : Value(); }
Value number_or_null(const std::optional<double>& v) { return v ? number_or_null(*v) : Value(); }

// The rule applied to the evidence, and each arm's rows.
class Judged {
 public:
  Judged(const Recipe& recipe, const Evidence& evidence, const Pinned& pinned)
      : recipe_(recipe),
        evidence_(evidence),
        standings_(standings_of(recipe, evidence.rows, evidence.audits, evidence.tuned, pinned)),
        rule_(apply_rule(recipe, standings_)) {
    for (const size_t arm : compared_arms(recipe)) {
      noise_[arm] = std::nullopt;
      if (recipe.metric != "val_loss") continue;  // what the losses of documents are in
      std::vector<std::pair<const Member*, const Member*>> runs;
      for (size_t s = 0; s < recipe.seeds.size(); ++s)
        if (both_count(arm, s)) runs.emplace_back(row(control(arm), s).member, row(arm, s).member);
      noise_[arm] = validation_noise(runs);
      if (noise_[arm]) rule_->set_text_sd(arm, noise_[arm]->text_sd);
    }
  }

  const Rule& rule() const { return *rule_; }
  const std::string& refused(size_t arm) const { return standings_.refused[arm]; }
  const Row& row(size_t arm, size_t seed) const { return evidence_.rows[seed * recipe_.arms.size() + arm]; }

  // What a member's state means for the campaign: those that the rule does not need are not missing.
  std::string status(size_t arm, size_t seed) const {
    const State state = row(arm, seed).standing.state;
    if (rule_->counts(arm, seed)) return name_of(state);
    if (!refused(arm).empty() && state != State::failed) return "refused";
    if (seed >= recipe_.stop_after && state != State::failed) return "not_needed";
    if (!rule_->wanted(arm, seed) && state != State::failed && decided_without(arm, seed)) return "not_needed";
    return name_of(state);
  }

  // Metric by seed of the members that count and did not diverge.
  std::vector<std::pair<size_t, double>> values(size_t arm) const {
    std::vector<std::pair<size_t, double>> out;
    for (size_t s = 0; s < recipe_.seeds.size(); ++s)
      if (rule_->counts(arm, s) && row(arm, s).value) out.emplace_back(s, *row(arm, s).value);
    return out;
  }

  // Both values of the seeds at which both count.
  std::vector<std::array<double, 2>> pairs(size_t arm, std::vector<size_t>* seeds) const {
    std::vector<std::array<double, 2>> out;
    for (size_t s = 0; s < recipe_.seeds.size(); ++s)
      if (both_count(arm, s)) {
        out.push_back({*row(control(arm), s).value, *row(arm, s).value});
        seeds->push_back(s);
      }
    return out;
  }
  const std::optional<ValidationNoise>& noise(size_t arm) const { return noise_.at(arm); }
  size_t control(size_t arm) const { return control_of(recipe_, arm); }
  bool is_control(size_t arm) const { return lab::is_control(recipe_, arm); }

 private:
  bool both_count(size_t arm, size_t seed) const {
    return rule_->counts(arm, seed) && rule_->counts(control(arm), seed) && row(arm, seed).value && row(control(arm), seed).value;
  }

  // Under the sequential rule seeds far ahead are not wanted yet; only an arm that stopped does without them.
  bool decided_without(size_t arm, size_t seed) const {
    if (is_control(arm)) return !running(arm);
    return std::string(rule_->word(arm)) != "undecided" || seed < static_cast<size_t>(rule_->rounds()) || !running(control(arm));
  }
  bool running(size_t control) const {
    for (size_t s = 0; s < recipe_.seeds.size(); ++s)
      if (rule_->wanted(control, s)) return true;
    return false;
  }

  const Recipe& recipe_;
  const Evidence& evidence_;
  Standings standings_;
  std::unique_ptr<Rule> rule_;
  std::map<size_t, std::optional<ValidationNoise>> noise_;  // of the compared arms
};

int64_t tokens_of(const Row& row) {
  if (row.standing.state == State::waiting) return 0;
  if (row.standing.summary) return row.standing.summary->tokens;
  return tokens_so_far(*row.member);
}

Value member_document(const Row& row, const std::string& status) {
  const auto& summary = row.standing.summary;
  Value v = Value::object();
  v["arm"] = row.member->arm->name;
  v["seed"] = row.member->seed;
  v["status"] = status;
  v["val_loss"] = summary ? number_or_null(summary->val_loss) : Value();
  v["value"] = number_or_null(row.value);
  v["tokens"] = tokens_of(row);
  v["seconds"] = summary ? number_or_null(summary->seconds) : Value();
  v["exit_code"] = summary ? Value(summary->exit_code) : Value();
  v["error"] = summary ? core::printable(summary->error) : "";
  v["directory"] = row.member->directory;
  return v;
}

// null: nothing was to be tuned.
Value tuning_document(const Recipe& recipe, const Tuned& tuned) {
  if (recipe.tune.seeds.empty()) return {};
  Value v = Value::object();
  v["trials"] = tuned.trials;
  v["chosen"] = tuned.chosen.size() > 0 ? tuned.chosen : Value();
  v["edge"] = tuned.refusal;
  return v;
}

Value audit_document(const Value& audit) {
  if (audit.is_null()) return {};
  Value v = Value::object();
  for (const char* key : {"pass", "level", "fingerprint"}) v[key] = audit.at(key);
  v["findings"] = Value::array();
  for (const Value& check : audit.at("checks").as_array())
    for (const Value& f : check.at("findings").as_array()) {
      Value row = f;
      row["check"] = check.at("check");
      v["findings"].push_back(row);
    }
  return v;
}

// What the arm's members that are done cost.
void add_cost(Value& v, const Recipe& recipe, const Judged& judged, size_t arm, const Pinned& pinned) {
  std::vector<double> rates;
  double seconds = 0;
  int64_t peak = 0, parameters = 0;
  for (size_t s = 0; s < recipe.seeds.size(); ++s) {
    const Row& row = judged.row(arm, s);
    if (row.standing.state != State::done || !judged.rule().counts(arm, s)) continue;
    rates.push_back(row.standing.summary->tokens_per_s);
    seconds += row.standing.summary->seconds;
    peak = std::max(peak, row.standing.summary->peak_bytes);
    parameters = row.standing.summary->parameters;
  }
  const Value* plan = pinned.arms.is_object() ? pinned.arms.find(recipe.arms[arm].name) : nullptr;
  const auto planned = [&](const char* key) { return plan && plan->is_object() && plan->find(key) ? *plan->find(key) : Value(); };
  v["parameters"] = parameters > 0 ? Value(parameters) : planned("parameters");
  v["training_flops_per_token"] = planned("training_flops_per_token");
  v["tokens_per_s"] = rates.empty() ? Value() : number_or_null(stats::quantile(rates, 0.5));
  v["peak_bytes"] = peak > 0 ? Value(peak) : Value();
  v["seconds"] = seconds;
  v["budget"] = budget_of(recipe, recipe.arms[arm], pinned);
}

void add_changes(Value& v, const Changes& changes) {
  v["change"] = changes.declared;
  v["undeclared"] = changes.undeclared;
  v["derived"] = changes.derived;
  const std::string more = undeclared_text(changes);
  const Value* sentence = v.find("sentence");
  if (more.empty() || !sentence || !sentence->is_string() || sentence->as_string().empty()) return;
  std::string text = sentence->as_string();
  if (text.back() == '.') text.pop_back();
  v["sentence"] = text + "; " + more + ".";
}

void add_pairs(Value& v, const Recipe& recipe, const Judged& judged, size_t arm) {
  std::vector<size_t> seeds;
  const std::vector<std::array<double, 2>> pairs = judged.pairs(arm, &seeds);
  std::vector<double> control, own, differences;
  v["differences"] = Value::array();
  const stats::Metric& metric = stats::metric_named(recipe.metric);
  for (size_t i = 0; i < pairs.size(); ++i) {
    control.push_back(pairs[i][0]);
    own.push_back(pairs[i][1]);
    differences.push_back(metric.score(pairs[i][0]) - metric.score(pairs[i][1]));
    Value one = Value::object();
    one["seed"] = recipe.seeds[seeds[i]];
    one["difference"] = differences.back();
    v["differences"].push_back(one);
  }
  v["mean_difference"] = number_or_null(stats::mean_sd(differences).mean);
  v["sd_difference"] = number_or_null(stats::mean_sd(differences).sd);
  v["validation_noise"] = document_of(judged.noise(arm));
  v["pairing"] = Value();
  if (pairs.size() < 2) return;
  const stats::Pairing p = stats::pairing(control, own);
  v["pairing"] = Value::object();
  v["pairing"]["rho"] = number_or_null(p.rho);
  v["pairing"]["sd_difference"] = number_or_null(p.sd_difference);
  v["pairing"]["seeds_ratio"] = number_or_null(p.seeds_ratio);
}

// Of outcomes with two modes: how many runs escaped, and the middle of either mode. Null without a threshold.
Value modes_of(const std::vector<double>& values, const std::optional<double>& threshold) {
  if (!threshold) return {};
  std::vector<double> below, rest;
  for (const double x : values) (x < *threshold ? below : rest).push_back(x);
  Value v = Value::object();
  v["threshold"] = *threshold;
  v["escaped"] = static_cast<int64_t>(below.size());
  v["runs"] = static_cast<int64_t>(values.size());
  v["median_escaped"] = below.empty() ? Value() : number_or_null(stats::quantile(below, 0.5));
  v["median_rest"] = rest.empty() ? Value() : number_or_null(stats::quantile(rest, 0.5));
  return v;
}

Value arm_document(const Recipe& recipe, const Evidence& evidence, const Judged& judged, size_t arm, const Pinned& pinned) {
  const Arm& a = recipe.arms[arm];
  Value v = judged.rule().verdict(arm);
  v["name"] = a.name;
  v["arch"] = a.arch;
  v["options"] = a.options;
  if (const Value* set = pinned.set.find(a.name))
    for (const auto& [option, value] : set->as_object()) v["options"][option] = value;
  std::vector<double> values;
  v["values"] = Value::array();
  for (const auto& [s, value] : judged.values(arm)) {
    values.push_back(value);
    Value one = Value::object();
    one["seed"] = recipe.seeds[s];
    one["value"] = value;
    v["values"].push_back(one);
  }
  const stats::MeanSd m = stats::mean_sd(values);
  v["n"] = m.n;
  v["mean"] = number_or_null(m.mean);
  v["sd"] = number_or_null(m.sd);
  v["modes"] = modes_of(values, recipe.escape_threshold);
  v["audit"] = audit_document(evidence.audits[arm]);
  v["tuning"] = tuning_document(recipe, evidence.tuned[arm]);
  v["control"] = recipe.arms[judged.control(arm)].name;
  v["rung"] = a.rung.empty() ? Value() : Value(a.rung);
  if (judged.is_control(arm) && !judged.refused(arm).empty()) v["reason"] = judged.refused(arm);
  add_cost(v, recipe, judged, arm, pinned);
  if (!judged.is_control(arm)) {
    add_pairs(v, recipe, judged, arm);
    add_changes(v, changes_of(recipe.arms[judged.control(arm)], a, pinned));
    return v;
  }
  for (const char* key : {"differences", "change", "undeclared", "derived"}) v[key] = Value::array();
  for (const char* key : {"mean_difference", "sd_difference", "interval", "p_value", "e_value", "effect", "pairing", "validation_noise"})
    v[key] = Value();
  return v;
}

struct Counts {
  int64_t done = 0, failed = 0, unfinished = 0, not_needed = 0, refused = 0;
  void add(const std::string& status) {
    if (status == "done") ++done;
    else if (status == "failed") ++failed;
    else if (status == "not_needed") ++not_needed;
    else if (status == "refused") ++refused;
    else ++unfinished;
  }
};

}  // namespace

Evidence read_evidence(const Recipe& recipe, const std::vector<Member>& members, const std::string& directory, const Pinned& pinned) {
  Evidence e;
  e.directory = directory;
  for (const Member& m : members) e.rows.push_back(row_of(m, recipe.metric));
  for (const Arm& arm : recipe.arms) e.audits.push_back(read_audit(directory, arm));
  e.tuned = read_tuning(recipe, trials_of(recipe, directory), pinned);
  return e;
}

Value compare(const Recipe& recipe, const Evidence& evidence, const Pinned& begun) {
  Pinned pinned = begun;
  set_chosen(recipe, evidence.tuned, pinned);
  const Judged judged(recipe, evidence, pinned);
  Value v = Value::object();
  v["name"] = recipe.name;
  v["question"] = recipe.question;
  v["control"] = recipe.control;
  v["metric"] = recipe.metric;
  v["higher_is_better"] = stats::metric_named(recipe.metric).higher_is_better;
  v["tokens"] = recipe.tokens;
  v["match"] = recipe.match;
  v["threads"] = pinned.threads;
  v["product_backend"] = pinned.product;
  v["seeds"] = recipe.document().at("seeds");
  v["recipe_hash"] = core::hash128_hex(core::to_json(recipe.document()));
  v["rule"] = recipe.rule;
  v["design"] = judged.rule().design();
  v["rounds"] = judged.rule().rounds();
  v["calibration"] = recipe.rule == "sequential" ? stats::document_of(stats::measured_rate(recipe.error_rate)) : Value();
  v["deviations"] = read_deviations(evidence.directory);
  v["references"] = references_of(recipe, evidence, pinned);
  v["arms"] = Value::array();
  for (size_t a = 0; a < recipe.arms.size(); ++a) v["arms"].push_back(arm_document(recipe, evidence, judged, a, pinned));
  v["members"] = Value::array();
  Counts counts;
  for (size_t s = 0; s < recipe.seeds.size(); ++s)
    for (size_t a = 0; a < recipe.arms.size(); ++a) {
      const std::string status = judged.status(a, s);
      counts.add(status);
      v["members"].push_back(member_document(judged.row(a, s), status));
    }
  v["done"] = counts.done;
  v["failed"] = counts.failed;
  v["unfinished"] = counts.unfinished;
  v["not_needed"] = counts.not_needed;
  v["refused"] = counts.refused;
  return v;
}

}  // namespace assay::lab
