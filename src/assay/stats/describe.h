#pragma once
#include <span>

namespace assay::stats {

// Descriptions that stand beside a verdict. Empty input gives NaN.

// Linear interpolation between order statistics at (n - 1) p (type 7). ConfigError: p outside [0, 1].
double quantile(std::span<const double> values, double p);

// Median of (d_i + d_j) / 2 over i <= j (Hodges and Lehmann 1963); consistent for the centre of a symmetric distribution.
double hodges_lehmann(std::span<const double> d);

// Third standardised moment, sum (v - mean)^3 / n / (sum (v - mean)^2 / n)^1.5: 0 for exchangeable arms' differences. NaN without spread.
double skewness(std::span<const double> values);

// How probable it is that the arm's score is the lower one; ties count one half.
struct Improvement {
  double paired = 0;     // over rounds
  double all_pairs = 0;  // over all pairs of a run of the control and a run of the arm
};
Improvement improvement(std::span<const double> control, std::span<const double> arm);  // ConfigError: unequal lengths

}  // namespace assay::stats
