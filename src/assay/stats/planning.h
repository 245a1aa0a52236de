#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace assay::stats {

// What pairing by seed is worth: sd(d)^2 = v_a + v_0 - 2 rho sqrt(v_a v_0), and seeds_ratio = var(d) / (v_a + v_0) is the number of paired
// seeds for each unpaired one. Above 1 (rho < 0) pairing hurts; a verdict's validity never depends on it.
struct Pairing {
  double rho = 0, sd_difference = 0, seeds_ratio = 0;
};
Pairing pairing(std::span<const double> control, std::span<const double> arm);  // ConfigError: unequal lengths, fewer than two

// Upper confidence limit of a standard deviation from n Gaussian pilots: sd sqrt((n-1) / chi2_{1-level}(n-1)). ConfigError: n < 2, level.
double sd_upper_limit(double sd, int64_t n, double level = 0.8);

// Two-way table of D[seed][block], blocks of the validation set with equal numbers of tokens; components of the variance of the mean by
// the method of moments. The document term is the same in every round: more seeds do not shrink it.
struct VarianceComponents {
  double seed = 0, document = 0, residual = 0;
  double variance_of_mean = 0;   // seed/S + document/J + residual/(S J)
  double document_variance = 0;  // document/J: what stays with any number of seeds
};
VarianceComponents variance_components(const std::vector<std::vector<double>>& differences);  // ConfigError: ragged, fewer than 2 x 2

}  // namespace assay::stats
