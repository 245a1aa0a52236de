#pragma once
#include <cstdint>
#include <optional>
#include <span>

#include "assay/stats/interval.h"
#include "assay/stats/sign_process.h"

namespace assay::stats {

// What a run's loss counts as. A loss that is not finite diverged and scores the cap (ln V); others score min(loss, cap). Without a cap the
// loss stands as it is.
struct Score {
  double value = 0;
  bool diverged = false;
};
Score score(double loss, std::optional<double> cap);

// The e-process of discordant rounds: a in which only the arm escaped from the plateau, b in which only the control did.
//
//   log e  = (a+b) log 2 + lbeta(a+1/2, b+1/2) - lbeta(1/2, 1/2)
//   log e+ = log e + log 2 + log P(Beta(a+1/2, b+1/2) > 1/2),   e- with P(< 1/2),   e = (e+ + e-) / 2
//
// Jeffreys' mixture of coins. Valid when, given the past and that exactly one of the two escaped, it is the arm with probability 1/2: equal
// escape rates of independent or exchangeable runs. plus: the arm escapes more often. ConfigError: a negative count.
LogE escape_log_e(int64_t arm_only, int64_t control_only);

// The exact test beside it, for a number of rounds that was fixed beforehand (McNemar): of the a + b discordant rounds each is the arm's with
// probability 1/2. Two-sided; 1 without a discordant round. ConfigError: a negative count.
double discordant_p(int64_t arm_only, int64_t control_only);

// (E_mean + e_escape) / 2 for each of the three: an average of e-values is one under the nulls of both, without a choice after the fact.
LogE averaged(const LogE& mean, const LogE& escape);

// Anytime-valid interval of a rate after k of n: { p : lbeta(k+1/2, n-k+1/2) - lbeta(1/2,1/2) - k log p - (n-k) log(1-p) < -log alpha }.
// Covers the rate of independent trials at all n together with probability at least 1 - alpha. ConfigError: k outside 0..n, alpha.
Interval rate_interval(int64_t k, int64_t n, double alpha);

// A threshold between two modes, from pilot scores of all arms pooled: the middle of the largest gap with at least two runs on each side,
// where that gap is at least 3 sd, sd = sqrt((SS_low + SS_high) / (n - 2)). No value: fewer than 8 runs, or no two modes seen.
std::optional<double> escape_threshold(std::span<const double> pool);

}  // namespace assay::stats
