#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "assay/core/value.h"
#include "assay/stats/noise.h"

namespace assay::stats {

// How often the rule of decision.h errs, by simulation of whole campaigns through its interface: feed rounds, see which arms stop with which
// word. 2 to 30 looks a campaign. Rates are shares of campaigns.
struct CalibrationOptions {
  int64_t campaigns = 10000;  // a cell
  uint64_t seed = 1;
  int threads = 1;
};

// Arms that do not differ: any better/worse verdict is false.
struct NullRate {
  std::string noise;
  double stated_rate = 0.05;
  int64_t campaigns = 0;
  double false_rate = 0;
  double limit = 0;                        // stated rate + 3 of its standard errors
  bool asserted = true, pass = true;       // asserted: the noise is symmetric
  double miss_at_stop = 0, miss_ever = 0;  // the truth is outside S_n at the stop; at some n up to 30
  double mixture_t = 0;                    // false rate of the Gaussian companion, looked at in every round; asserted on Gaussian noise
  double repeated_t = 0;                   // false rate of a t test looked at in every round
};
std::vector<NullRate> null_rates(const NoiseShape& shape, bool asserted, const CalibrationOptions& options);  // at 5 % and 1 %

// The truth against the reported interval, with a real effect (in sd of a difference).
struct Coverage {
  std::string noise;
  double effect = 0, level = 0.95;
  int64_t campaigns = 0;
  double at_stop = 0, always = 0;
  double limit = 0;  // level - 3 standard errors
  bool asserted = true, pass = true;
  double found = 0;  // share with a verdict in the right direction by 30 seeds
};
Coverage coverage(const NoiseShape& shape, double effect, bool asserted, const CalibrationOptions& options);

// Four arms that share a control; `real` of them are better by 1 sd of a difference.
struct ArmsRate {
  std::string noise;
  int64_t real = 0, campaigns = 0;
  double stated_rate = 0.05;
  double fdr = 0, any_false = 0, holm_any_false = 0;
  double limit = 0;
  bool pass = true;
  double power = 0, holm_power = 0;  // share of the real arms that is found by 30 seeds
  double interval_misses = 0;        // expected share of intervals that miss among the arms with a verdict
};
ArmsRate arms_rate(const RunNoise& noise, int64_t real, const CalibrationOptions& options);

// Seeds until the verdict without a maximum, Gaussian noise, one real arm of `hypotheses`.
struct SeedsToVerdict {
  double effect = 1;  // in sd of a difference
  int64_t hypotheses = 1, campaigns = 0;
  double mean = 0, standard_error = 0, median = 0, high = 0;  // high: 90 %
  int64_t n_fix = 0;                                          // the paired t test at 5 %, told the effect, has power 0.8 at this n
  double ratio = 0;                                           // mean / n_fix
  double power = 0;                                           // found by 30 seeds
  double wanted = 0, allowance = 0;                           // asserted where the allowance is above 0
  bool pass = true;
};
SeedsToVerdict seeds_to_verdict(double effect, int64_t hypotheses, const CalibrationOptions& options);

// Whether a campaign with two modes finds what is true: a control that escapes with rate .675, an arm that never does, and one that
// does with the control's rate; 20 seeds, a threshold. Right: the first worse, the second neither better nor worse.
struct GateQuestion {
  int64_t campaigns = 0;
  double right = 0, first_right = 0, second_right = 0, median_seeds = 0;  // seeds of the first until "worse"
};
GateQuestion gate_question(const CalibrationOptions& options);

struct Calibration {
  CalibrationOptions options;
  std::vector<NullRate> null_rates;
  std::vector<Coverage> coverage;
  std::vector<ArmsRate> arms;
  std::vector<SeedsToVerdict> seeds;
  GateQuestion gate;
  bool pass() const;
};
Calibration calibrate(const CalibrationOptions& options);  // ConfigError: campaigns or threads below 1

core::Value document_of(const Calibration& calibration);

// alpha + 3 sqrt(alpha (1 - alpha) / campaigns): what a rate of alpha exceeds once in 740 calibrations.
double rate_limit(double alpha, int64_t campaigns);

}  // namespace assay::stats
