#pragma once
#include <string>

#include "assay/core/value.h"

namespace assay::lab {

// The rule tried on real trainings: campaigns of one architecture against itself. Each has seeds of its own; its two arms see the same data in
// the same order and differ in their initial values alone (train.init_salt), so that every better or worse is false.
struct RealRequest {
  std::string directory;  // one folder a campaign inside; those that are finished are not run again
  std::string program;
  int64_t campaigns = 60;
  int64_t jobs = 0;
  double planted = 0.03;  // share of the control's mean by which an arm's score is lowered afterwards, to see whether that is found
};

// {campaigns, seeds, stated_rate, false_verdicts, limit, refused, pass, sd_difference, rho, share_positive, skewness,
//  planted: {share, found, wrong, median_seeds, high_seeds}, rows[]: {name, verdict, seeds, e_value, reason}, recipe}.
// limit: at most so many false ones with probability .99. pass: no more than that, and nothing refused. ConfigError where two arms gave the
// same loss: then the initial values are not salted.
core::Value calibrate_real(const RealRequest& request);

// The recipe of campaign 1, 2, ...
std::string identical_arms_recipe(int64_t campaign);

// The smallest k with P(Binomial(n, p) <= k) >= level.
int64_t binomial_limit(int64_t n, double p, double level);

}  // namespace assay::lab
