#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "assay/core/value.h"
#include "assay/stats/describe.h"
#include "assay/stats/interval.h"
#include "assay/stats/record.h"

namespace assay::stats {

// Escapes of one arm with their anytime interval.
struct EscapeRate {
  int64_t escaped = 0, runs = 0;
  Interval interval;
};

struct Quantiles {
  double low = 0, median = 0, high = 0;  // 10, 50, 90 %
};

// Student, sign flips, Wilcoxon: valid for the number of seeds that was fixed beforehand, given only when it was run.
struct FixedN {
  double t = 0, t_p_two_sided = 1, t_p_greater = 1;
  Interval t_interval;                                     // level 1 - alpha
  std::optional<double> flip_p_two_sided, flip_p_greater;  // none: n too large
  std::optional<double> wilcoxon_p_two_sided;              // none: zeros or ties
};

// Everything that is said about one hypothesis. Effects, means and intervals are control - arm in the unit of the score: positive means that
// the arm is better.
struct Verdict {
  std::string name, control, metric, unit;
  Word word = Word::undecided;
  bool running = false;
  std::string reason, sentence;
  int64_t seeds = 0;

  std::optional<double> effect;                      // median-unbiased by sign flips
  std::string effect_method;                         // with the conditions under which that holds here
  std::optional<Interval> interval, interval_alone;  // none: fewer than 2 seeds, or no value about which the differences can be symmetric
  double level = 0, level_alone = 0;
  double log_e = 0, log_e_plus = 0, log_e_minus = 0;
  double p_value = 1, p_holm = 1;
  std::optional<double> log_e_equivalent, margin;
  bool within_margin = false;
  double gaussian_log_e = 0;
  Interval gaussian_interval;  // at `level`

  double mean = 0, median = 0, sd = 0, hodges_lehmann = 0, skewness = 0;  // of the differences
  Improvement improvement;
  Interval improvement_interval;
  Quantiles arm_quantiles, control_quantiles;
  std::optional<double> escape_threshold;
  EscapeRate arm_escapes, control_escapes;
  int64_t diverged = 0;

  double alpha = 0;  // false-discovery rate of better/worse verdicts; equivalence claims have the same again
  int64_t m = 0;
  std::optional<double> detectable_effect;  // undecided: found with probability detectable_power by this many seeds at this sd
  double detectable_power = 0;
  bool on_this_validation_set = false;
  std::optional<FixedN> fixed_n;
};

core::Value document_of(const Verdict& verdict);

// What a verdict is made from: a record and what the other hypotheses mean for it.
struct Judged {
  const Record* record = nullptr;
  const Design* design = nullptr;
  double log_e = 0;              // as e-BH sees it
  double interval_alpha = 0.05;  // 1 - level of the reported interval
  std::vector<double> boundary;  // log e that would have stopped it, by round
  double p_holm = 1;
  double document_sd = 0;
};
Verdict verdict_of(const Judged& judged);

// The quotable sentence of a verdict that is complete but for it.
std::string sentence_of(const Verdict& verdict);

}  // namespace assay::stats
