#include <cmath>
#include <map>
#include <string>

#include "assay/stats/calibrate.h"
#include "assay/stats/decision.h"
#include "assay/stats/multiplicity.h"
#include "assay/stats/parallel.h"

namespace assay::stats {
namespace {

constexpr int64_t kArms = 4, kRounds = 30;
constexpr int64_t kTwelfths = 12;  // shares of up to four arms are whole twelfths, so that tallies add exactly

struct Counts {
  int64_t false_twelfths = 0, any_false = 0, holm_any_false = 0, found = 0, holm_found = 0, missed_twelfths = 0;
  Counts& operator+=(const Counts& o) {
    false_twelfths += o.false_twelfths;
    any_false += o.any_false;
    holm_any_false += o.holm_any_false;
    found += o.found;
    holm_found += o.holm_found;
    missed_twelfths += o.missed_twelfths;
    return *this;
  }
};

Design four_arms() {
  Design design;
  for (int64_t a = 0; a < kArms; ++a) design.hypotheses.push_back({"arm" + std::to_string(a), "control"});
  design.max_seeds = kRounds;
  return design;
}

std::vector<Scores> draw_round(const RunNoise& noise, int64_t real, Draws& draws) {
  const double control = noise.draw(draws);
  std::vector<Scores> round;
  for (int64_t a = 0; a < kArms; ++a) round.push_back({control, noise.draw(draws) - (a < real ? noise.sd : 0)});
  return round;
}

void count_verdicts(const Decision& decision, int64_t real, double sd, Counts& counts) {
  int64_t found = 0, wrong = 0, missed = 0;
  for (int64_t a = 0; a < kArms; ++a) {
    const Word word = decision.word(a);
    if (word != Word::better && word != Word::worse) continue;
    ++found;
    wrong += a >= real || word != Word::better;
    counts.found += a < real && word == Word::better;
  }
  if (found == 0) return;
  const double limit = decision.design().log_threshold() - std::log(static_cast<double>(found));
  for (int64_t a = 0; a < kArms; ++a) {
    const Record& r = decision.record(a);
    if (r.word != Word::better && r.word != Word::worse) continue;
    missed += sign_log_e(r.d(), a < real ? sd : 0).two_sided >= limit;
  }
  counts.false_twelfths += wrong * kTwelfths / found;
  counts.any_false += wrong > 0;
  counts.missed_twelfths += missed * kTwelfths / found;
}

void count_holm(const std::vector<SignProcess>& processes, double alpha, int64_t real, Counts& counts) {
  std::vector<double> p;
  for (const SignProcess& process : processes) p.push_back(process.p_anytime());
  const std::vector<double> adjusted = holm_adjusted(p);
  bool any_false = false;
  for (size_t a = 0; a < adjusted.size(); ++a) {
    const bool is_real = static_cast<int64_t>(a) < real, found = adjusted[a] <= alpha;
    any_false = any_false || (found && !is_real);
    counts.holm_found += found && is_real;
  }
  counts.holm_any_false += any_false;
}

void campaign(const RunNoise& noise, int64_t real, Draws draws, Counts& counts) {
  Decision decision(four_arms());
  std::vector<SignProcess> processes(kArms);
  for (int64_t n = 0; n < kRounds; ++n) {
    const std::vector<Scores> round = draw_round(noise, real, draws);
    if (decision.running()) decision.feed(round);
    for (size_t a = 0; a < processes.size(); ++a) processes[a].add(round[a].control - round[a].arm);
  }
  count_verdicts(decision, real, noise.sd, counts);
  count_holm(processes, decision.design().alpha, real, counts);
}

// A campaign with two modes: the control and its equal escape with this rate, the other arm never.
constexpr double kEscapeRate = 0.675;

struct GateCounts {
  int64_t right = 0, first = 0, second = 0;
  std::map<int64_t, int64_t> seeds;
  GateCounts& operator+=(const GateCounts& o) {
    right += o.right;
    first += o.first;
    second += o.second;
    for (const auto& [n, count] : o.seeds) seeds[n] += count;
    return *this;
  }
};

Design gate_design() {
  Design design;
  for (const char* arm : {"ungated 0.28", "gated 0.28"}) {
    Hypothesis h{arm, "ungated 0.14"};
    h.escape_threshold = 6.5;
    h.cap = std::log(50257.0);
    design.hypotheses.push_back(h);
  }
  design.max_seeds = 20;
  return design;
}

double gate_run(Draws& draws, double rate) { return draws.chance(rate) ? 5.75 + 0.1 * draws.normal() : 7.02 + 0.03 * draws.normal(); }

void gate_campaign(Draws draws, GateCounts& counts) {
  Decision decision(gate_design());
  while (decision.running()) {
    const double control = gate_run(draws, kEscapeRate), never = gate_run(draws, 0), equal = gate_run(draws, kEscapeRate);
    decision.feed(std::vector<Scores>{{control, never}, {control, equal}});
  }
  const bool first = decision.word(0) == Word::worse, second = decision.word(1) == Word::undecided;
  counts.right += first && second;
  counts.first += first;
  counts.second += second;
  if (first) ++counts.seeds[decision.seeds(0)];
}

}  // namespace

ArmsRate arms_rate(const RunNoise& noise, int64_t real, const CalibrationOptions& options) {
  const std::string name = std::string("calibrate/arms/") + noise.name + "/" + std::to_string(real);
  const auto c = sum_in_parallel<Counts>(options.campaigns, options.threads,
                                         [&](int64_t i, Counts& tally) { campaign(noise, real, Draws(options.seed, name, i), tally); });
  const double n = static_cast<double>(options.campaigns), arms = n * static_cast<double>(real);
  ArmsRate row{noise.name, real, options.campaigns};
  row.fdr = static_cast<double>(c.false_twelfths) / kTwelfths / n;
  row.any_false = static_cast<double>(c.any_false) / n;
  row.holm_any_false = static_cast<double>(c.holm_any_false) / n;
  row.power = real == 0 ? 0 : static_cast<double>(c.found) / arms;
  row.holm_power = real == 0 ? 0 : static_cast<double>(c.holm_found) / arms;
  row.interval_misses = static_cast<double>(c.missed_twelfths) / kTwelfths / n;
  row.limit = rate_limit(row.stated_rate, options.campaigns);
  row.pass = row.fdr <= row.limit;
  return row;
}

GateQuestion gate_question(const CalibrationOptions& options) {
  const auto c = sum_in_parallel<GateCounts>(options.campaigns, options.threads, [&](int64_t i, GateCounts& tally) {
    gate_campaign(Draws(options.seed, "calibrate/gate", i), tally);
  });
  const double n = static_cast<double>(options.campaigns);
  GateQuestion out{options.campaigns, static_cast<double>(c.right) / n, static_cast<double>(c.first) / n,
                   static_cast<double>(c.second) / n};
  int64_t so_far = 0;
  for (const auto& [seeds, count] : c.seeds) {
    so_far += count;
    if (2 * so_far < c.first) continue;
    out.median_seeds = static_cast<double>(seeds);
    break;
  }
  return out;
}

}  // namespace assay::stats
