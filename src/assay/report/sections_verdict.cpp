#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "assay/report/charts.h"
#include "assay/report/format.h"
#include "assay/report/sections.h"

namespace assay::report {
namespace {

constexpr size_t kFindings = 3;  // that a verdict's card has room for

std::string plural(int64_t n, const std::string& word) { return std::to_string(n) + " " + word + (n == 1 ? "" : "s"); }

std::string sentence_of(const Arm& a) {
  if (!a.sentence.empty()) return a.sentence;
  if (a.verdict == "refused") return "No verdict: " + (a.reason.empty() ? "the arm was refused" : a.reason) + ".";
  if (a.differences.empty()) return "No verdict yet: no pair of runs is finished.";
  return "No verdict yet after " + plural(static_cast<int64_t>(a.differences.size()), "paired seed") + ".";
}

void add_findings(Claim& claim, const Arm& a) {
  if (!a.audit) return;
  for (size_t i = 0; i < std::min(kFindings, a.audit->findings.size()); ++i) {
    const Finding& f = a.audit->findings[i];
    claim.facts.emplace_back(f.where.empty() ? f.check : f.check + " at " + f.where, f.message);
  }
}

Claim claim_of(const Campaign& c, const Arm& a) {
  Claim claim{a.name, a.arch, shown_verdict(a), sentence_of(a), "", "", c.unit(), {}};
  const auto fact = [&](const std::string& name, const std::string& text) {
    if (text != "-") claim.facts.emplace_back(name, text);
  };
  if (a.verdict == "refused") {
    add_findings(claim, a);
    return claim;
  }
  if (a.effect) claim.effect = difference_text(a.effect);
  if (a.interval) claim.interval = interval_text(a.interval);
  if (a.interval && a.level) fact("level", fmt::format("{:.4g} %", 100 * *a.level));
  fact("e-value", evidence_text(a.e_value, a.log_e));
  if (a.seeds) fact("paired seeds", std::to_string(*a.seeds));
  fact(c.higher_is_better() ? "mean " + c.unit() : "mean loss", loss_text(a.mean));
  fact("stated rate", rate_text(a.stated_rate));
  return claim;
}

std::string progress(const Campaign& c) {
  std::string out;
  for (const char* status : {"done", "failed", "interrupted", "unfinished", "waiting", "not_needed", "refused"})
    if (const int64_t n = c.count(status); n > 0)
      out +=
          (out.empty() ? "" : ", ") + std::to_string(n) + (std::string(status) == "not_needed" ? " not needed" : std::string(" ") + status);
  return out;
}

void add_notices(Section& s, const Campaign& c) {
  if (c.members.empty()) s.blocks.emplace_back(Notice{"No results yet: no run of this campaign has begun, as far as its directory says."});
  else if (!c.finished())
    s.blocks.emplace_back(Notice{"This campaign is not finished. Of " + plural(static_cast<int64_t>(c.members.size()), "run") + ": " +
                                 progress(c) + ". Everything below is what it says so far."});
  for (const Arm& a : c.arms)
    if (!a.undeclared.empty())
      s.blocks.emplace_back(Notice{a.name + " differs from " + c.control + " beyond the declared change, in " +
                                   plural(static_cast<int64_t>(a.undeclared.size()), "option") + ": see How the arms differ."});
  for (const Hypothesis& h : c.hypotheses) {
    const Arm* arm = c.find(h.arm);
    if (!arm || !h.cap || c.unit() != "nats") continue;
    const auto above = std::count_if(arm->values.begin(), arm->values.end(), [&](const SeedValue& v) { return v.value > *h.cap; });
    if (above > 0)
      s.blocks.emplace_back(Notice{plural(above, "run") + " of " + arm->name + " ended above " + loss_text(h.cap) +
                                   ", the loss of guessing evenly. The effect counts such a run as that loss, the mean as it is."});
  }
  if (!c.deviations.empty())
    s.blocks.emplace_back(Notice{"The recipe was edited after the campaign had begun, in " +
                                 plural(static_cast<int64_t>(c.deviations.size()), "option") + ": see Design."});
}

std::string control_text(const Campaign& c) {
  const Arm* control = c.find(c.control);
  std::string out =
      "Effects are " + c.sides() + " in " + c.unit() + (c.unit() == "nats" ? " a token" : "") + ": positive means that the arm is better.";
  if (!control || !control->mean) return out;
  return out + " Over " + plural(control->n, "run") + " the control " + c.control + " has the mean " + loss_text(control->mean) +
         (control->sd ? " and the standard deviation " + loss_text(control->sd) : "") + ".";
}

std::string calibration_text(const Calibration& k) {
  return fmt::format(
      "How often this rule errs: of {} simulated campaigns whose arms do not differ, {:.3g} % ended with a false verdict at a "
      "stated rate of {:.3g} %, under the least favourable noise that the guarantee covers ({}). {} repeats the measurement.",
      count_text(k.campaigns ? Number(static_cast<double>(*k.campaigns)) : std::nullopt), 100 * k.false_rate, 100 * k.stated_rate, k.noise,
      k.command);
}

std::string said(const Arm& a) {
  return a.name + ": " + shown_verdict(a) +
         (a.effect ? ", " + difference_text(a.effect) + " " + interval_text(a.interval) : ", no effect") + ". ";
}

Table effect_table(const Campaign& c) {
  Table t{"effects",
          "Effects against " + c.control + " in " + c.unit() + "; positive: the arm is better",
          {{"arm"},
           {"verdict"},
           {"effect", true},
           {"interval", true},
           {"level", true},
           {"e", true},
           {"p", true},
           {"p (Holm)", true},
           {"mean difference", true},
           {"Hodges-Lehmann", true},
           {"seeds", true}},
          {}};
  t.words = 1;
  for (const Arm& a : c.arms)
    if (!c.is_control(a))
      t.rows.push_back({a.name, shown_verdict(a), difference_text(a.effect), interval_text(a.interval), rate_text(a.level),
                        evidence_text(a.e_value, a.log_e), rate_text(a.p_value), rate_text(a.p_holm), difference_text(a.mean_difference),
                        difference_text(a.hodges_lehmann), a.seeds ? std::to_string(*a.seeds) : "-"});
  return t;
}

Table robustness_table(const Campaign& c) {
  Table t{"companions",
          "The same evidence under other assumptions: the interval for this arm alone, and a Gaussian companion",
          {{"arm"}, {"interval alone", true}, {"Gaussian e", true}, {"Gaussian interval", true}, {"how the effect is estimated"}},
          {}};
  t.for_papers = false;
  for (const Arm& a : c.arms)
    if (a.interval_alone || a.gaussian_e_value || a.gaussian_interval)
      t.rows.push_back({a.name, interval_text(a.interval_alone), evidence_text(a.gaussian_e_value, std::nullopt),
                        interval_text(a.gaussian_interval), a.effect_method});
  return t;
}

using BySeed = std::map<int64_t, double>;
BySeed by_seed(const Campaign& c, const Arm& a) {
  BySeed out;
  for (const SeedValue& v : values_of(c, a)) out[v.seed] = v.value;
  return out;
}

// Rows: seeds. The control's value, then each arm's with its difference.
Table pair_table(const Campaign& c, const Arm& control, const std::vector<const Arm*>& arms) {
  Table t{"pairs", c.metric + " by seed, and the difference " + c.sides(), {{"seed", true}, {c.control, true}}, {}};
  t.for_papers = false;
  std::map<int64_t, std::vector<std::string>> rows;
  const BySeed at_control = by_seed(c, control);
  for (const auto& [seed, value] : at_control) rows[seed] = {std::to_string(seed), loss_text(value)};
  for (const Arm* a : arms) {
    t.columns.push_back({a->name, true});
    t.columns.push_back({"difference", true});
    const BySeed own = by_seed(c, *a);
    for (auto& [seed, row] : rows) {
      const auto at = own.find(seed);
      row.push_back(at == own.end() ? "-" : loss_text(at->second));
      row.push_back(at == own.end() ? "-" : difference_text(c.better_by(at_control.at(seed), at->second)));
    }
  }
  for (auto& [seed, row] : rows) t.rows.push_back(std::move(row));
  return t;
}

std::string pair_description(const Campaign& c, const Arm& control, const Arm& arm) {
  const BySeed at_control = by_seed(c, control);
  int64_t pairs = 0, better = 0;
  for (const auto& [seed, value] : by_seed(c, arm)) {
    if (!at_control.contains(seed)) continue;
    ++pairs;
    better += c.better_by(at_control.at(seed), value) > 0;
  }
  return arm.name + (c.higher_is_better() ? " is higher than " : " is lower than ") + c.control + " in " + std::to_string(better) + " of " +
         plural(pairs, "pair") + ".";
}

}  // namespace

Section verdict_section(const Campaign& c) {
  Section s{"verdicts", "Verdicts", {}};
  add_notices(s, c);
  Claims claims;
  for (const Arm& a : c.arms)
    if (!c.is_control(a)) claims.all.push_back(claim_of(c, a));
  if (!claims.all.empty()) s.blocks.emplace_back(std::move(claims));
  s.blocks.emplace_back(Paragraph{control_text(c)});
  if (c.calibration) s.blocks.emplace_back(Paragraph{calibration_text(*c.calibration)});
  return s;
}

Section effect_section(const Campaign& c) {
  Section s{"effects", "Effects and their intervals", {}};
  const Table table = effect_table(c);
  if (table.rows.empty()) return s;
  std::string said_all = "Effect and interval of each arm. ";
  for (const Arm& a : c.arms)
    if (!c.is_control(a)) said_all += said(a);
  Figure f{
      std::string("A mark is the effect, a bar its interval; an arrow says that the interval goes on. Right of zero the arm is better.") +
          (c.margin() ? " Within the band, differences count as equivalent." : ""),
      {{"chart-effects", "", said_all, forest_chart(c)}},
      {table}};
  if (Table more = robustness_table(c); !more.rows.empty()) f.numbers.push_back(std::move(more));
  s.blocks.emplace_back(std::move(f));
  return s;
}

Section pair_section(const Campaign& c) {
  Section s{"pairs", "Pairs by seed", {}};
  const Arm* control = c.find(c.control);
  if (!control) return s;
  std::vector<const Arm*> arms;
  const bool higher = c.higher_is_better();
  Figure f{
      fmt::format(
          "One line a seed, from the control to the arm; {} is better. Solid: the arm is {} with this seed, dashed: {}. Each panel has "
          "a scale of its own.",
          higher ? "higher" : "lower", higher ? "higher" : "lower", higher ? "lower" : "higher"),
      {},
      {}};
  for (const Arm& a : c.arms) {
    core::Value spec = c.is_control(a) ? core::Value() : slope_chart(c, a);
    if (spec.is_null() || spec.at("data").at("values").size() == 0) continue;
    f.panels.push_back({"chart-pairs-" + std::to_string(arms.size()), a.name, pair_description(c, *control, a), std::move(spec)});
    arms.push_back(&a);
  }
  if (arms.empty()) return s;
  f.numbers.push_back(pair_table(c, *control, arms));
  s.blocks.emplace_back(std::move(f));
  return s;
}

}  // namespace assay::report
