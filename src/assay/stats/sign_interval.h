#pragma once
#include <optional>
#include <span>

#include "assay/stats/interval.h"
#include "assay/stats/sign_process.h"

namespace assay::stats {

// Hull of S_n(alpha) = { t : E_n(d - t) < 1/alpha }, E the two-sided sign-symmetric e-value of the shifted differences.
//
// Valid at every n together: if, given the past, each d_i is symmetric about t0, then t0 is in S_n for all n with probability at least
// 1 - alpha. Units: those of d. Unbounded while too few differences are there to exclude anything. No value: no t is inside, the
// differences contradict symmetry about any value. ConfigError: alpha outside (0, 1), a difference that is not finite.
std::optional<Interval> sign_interval(std::span<const double> d, double alpha, std::span<const double> kappa = kDefaultKappa);

// Whether sign_interval has a value, without finding it.
bool symmetric_about_some_value(std::span<const double> d, double alpha, std::span<const double> kappa = kDefaultKappa);

}  // namespace assay::stats
