#include "assay/stats/verdict.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "assay/stats/mixture_t.h"
#include "assay/stats/paired.h"
#include "assay/stats/power.h"
#include "assay/stats/sign_flips.h"
#include "assay/stats/sign_interval.h"
#include "assay/stats/wilcoxon.h"

namespace assay::stats {
namespace {

constexpr double kPower = 0.8;

// A record that has no verdict is described as it stands: these are reasons for not saying anything about it.
void refuse_what_says_nothing(Verdict& v, const Record& r) {
  std::string reason;
  if (r.seeds() < 2) reason = "fewer than 2 rounds";
  else if (r.identical())
    reason =
        r.d().front() == 0 ? "the arms are the same: every difference is zero" : "the seed has no effect: every difference is the same";
  else if (!v.interval) reason = "differences contradict symmetry about any value";
  if (reason.empty()) return;
  v.word = Word::refused;
  v.reason = reason;
}

void describe(Verdict& v, const Record& r) {
  const MeanSd m = mean_sd(r.d());
  v.mean = m.mean;
  v.sd = m.sd;
  v.median = quantile(r.d(), 0.5);
  v.hodges_lehmann = hodges_lehmann(r.d());
  v.skewness = skewness(r.d());
  v.improvement = improvement(r.control(), r.arm());
  int64_t wins = 0, zeros = 0;
  for (double d : r.d()) {
    wins += d > 0;
    zeros += d == 0;
  }
  v.improvement_interval = rate_interval(wins, r.seeds() - zeros, v.alpha);
  const auto quantiles = [](const std::vector<double>& y) { return Quantiles{quantile(y, 0.1), quantile(y, 0.5), quantile(y, 0.9)}; };
  v.arm_quantiles = quantiles(r.arm());
  v.control_quantiles = quantiles(r.control());
  v.arm_escapes = {r.arm_escaped(), r.seeds(), rate_interval(r.arm_escaped(), r.seeds(), v.alpha)};
  v.control_escapes = {r.control_escaped(), r.seeds(), rate_interval(r.control_escaped(), r.seeds(), v.alpha)};
  v.diverged = r.diverged();
}

void add_evidence(Verdict& v, const Judged& j) {
  const Record& r = *j.record;
  v.log_e = j.log_e;
  v.log_e_plus = r.log_e().plus;
  v.log_e_minus = r.log_e().minus;
  v.p_value = r.p_value();
  v.p_holm = j.p_holm;
  if (r.has_equivalence()) v.log_e_equivalent = r.log_e_equivalent();
  v.within_margin = r.within_margin;
  v.gaussian_log_e = mixture_t_log_e(r.d(), j.design->g);
  v.gaussian_interval = mixture_t_interval(r.d(), j.interval_alpha, j.design->g);
}

std::string method_of(const SignFlips& flips, const Judged& j) {
  std::string method = "median-unbiased by sign flips";
  if (flips.by_simulation()) method += ", by simulation";
  if (j.design->m() > 1) method += ", given the other hypotheses";
  if (j.record->running || !j.record->by_rule) method += ", as if this number of seeds had been planned";
  return method;
}

void add_effect(Verdict& v, const Judged& j) {
  const SignFlips flips({j.record->d(), j.boundary, j.design->kappa, j.record->escapes()});
  v.effect = flips.estimate();
  v.effect_method = method_of(flips, j);
  v.on_this_validation_set = j.document_sd > std::abs(*v.effect) / 3;
}

void add_detectable(Verdict& v, const Judged& j) {
  PowerQuestion q = power_question(*j.design, j.record->hypothesis(), 0, v.sd);
  q.max_seeds = v.seeds;
  v.detectable_power = kPower;
  if (const auto effect = smallest_effect(q, kPower)) v.detectable_effect = *effect * v.sd;
}

FixedN fixed_n_tests(const Record& r, double alpha) {
  const PairedSummary t = paired_t(r.d(), 1 - alpha);
  FixedN out{t.t, t.p_two_sided, t.p_greater, {t.lower, t.upper}, std::nullopt, std::nullopt, wilcoxon_p(r.d())};
  if (r.seeds() > kMaxSignFlips) return out;
  const SignFlip flips = sign_flip(r.d());
  out.flip_p_two_sided = flips.p_two_sided;
  out.flip_p_greater = flips.p_greater;
  return out;
}

// A refused hypothesis counts as e = 1, and nothing is said about its effect.
void withdraw_evidence(Verdict& v) {
  v.log_e = v.log_e_plus = v.log_e_minus = v.gaussian_log_e = 0;
  v.p_value = v.p_holm = 1;
  v.gaussian_interval = {};
  v.interval.reset();
  v.interval_alone.reset();
  v.log_e_equivalent.reset();
}

Verdict named(const Judged& j) {
  const Record& r = *j.record;
  Verdict v;
  v.name = r.hypothesis().arm;
  v.control = r.hypothesis().control;
  v.metric = r.hypothesis().metric;
  v.unit = r.hypothesis().unit;
  v.word = r.word;
  v.running = r.running;
  v.reason = r.running ? "still running" : r.reason;
  v.seeds = r.seeds();
  v.alpha = j.design->alpha;
  v.m = j.design->m();
  v.level = 1 - j.interval_alpha;
  v.level_alone = 1 - v.alpha;
  v.margin = r.hypothesis().margin;
  v.escape_threshold = r.hypothesis().escape_threshold;
  return v;
}

}  // namespace

Verdict verdict_of(const Judged& j) {
  Verdict v = named(j);
  const Record& r = *j.record;
  describe(v, r);
  add_evidence(v, j);
  if (v.seeds >= 2) {
    v.interval = sign_interval(r.d(), j.interval_alpha, j.design->kappa);
    v.interval_alone = sign_interval(r.d(), v.alpha, j.design->kappa);
  }
  if (v.word == Word::undecided) refuse_what_says_nothing(v, r);
  if (v.word == Word::refused) withdraw_evidence(v);
  else {
    add_effect(v, j);
    if (v.word == Word::undecided) add_detectable(v, j);
    if (j.design->fixed_n == v.seeds) v.fixed_n = fixed_n_tests(r, v.alpha);
  }
  v.sentence = sentence_of(v);
  return v;
}

}  // namespace assay::stats
