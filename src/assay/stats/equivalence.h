#pragma once
#include <span>

#include "assay/stats/sign_process.h"

namespace assay::stats {

// Two one-sided e-processes against a margin D > 0 (in the units of the differences, fixed before the first round).
//
//   log_e_not_above = log E-(d - D)   against "the effect is D or more"
//   log_e_not_below = log E+(d + D)   against "the effect is -D or less"
//
// Both must speak, so the evidence for |effect| < D is the smaller one, at the full alpha. False claim with probability at most alpha if
// d - D is "not worse" or d + D "not better" in the sense of SignProcess (for example symmetric and unimodal about a point beyond D).
class EquivalenceProcess {
 public:
  explicit EquivalenceProcess(double margin, std::span<const double> kappa = kDefaultKappa);  // ConfigError: margin not positive
  void add(double difference);                                                                // finite
  double log_e_not_above() const { return not_above_.log_e().minus; }
  double log_e_not_below() const { return not_below_.log_e().plus; }
  double log_e() const;

 private:
  double margin_;
  SignSums not_above_, not_below_;
};

}  // namespace assay::stats
