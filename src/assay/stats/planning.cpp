#include "assay/stats/planning.h"

#include <algorithm>
#include <boost/math/distributions/chi_squared.hpp>
#include <cmath>
#include <string>

#include "assay/core/error.h"
#include "assay/stats/paired.h"

namespace assay::stats {
namespace {

double square(double v) { return v * v; }

}  // namespace

Pairing pairing(std::span<const double> control, std::span<const double> arm) {
  if (control.size() != arm.size() || arm.size() < 2)
    throw core::ConfigError("stats", std::to_string(control.size()) + " scores of the control and " + std::to_string(arm.size()) +
                                         " of the arm; wanted as many of each, at least two");
  std::vector<double> d(arm.size());
  for (size_t i = 0; i < d.size(); ++i) d[i] = control[i] - arm[i];
  const MeanSd c = mean_sd(control), a = mean_sd(arm), difference = mean_sd(d);
  double covariance = 0;
  for (size_t i = 0; i < d.size(); ++i) covariance += (control[i] - c.mean) * (arm[i] - a.mean);
  covariance /= static_cast<double>(d.size() - 1);
  return {covariance / (c.sd * a.sd), difference.sd, square(difference.sd) / (square(c.sd) + square(a.sd))};
}

double sd_upper_limit(double sd, int64_t n, double level) {
  if (n < 2 || !(level > 0 && level < 1) || !(sd >= 0))
    throw core::ConfigError("stats", "an upper limit of sd = " + std::to_string(sd) + " from " + std::to_string(n) + " pilots at level " +
                                         std::to_string(level) + "; wanted at least 2 pilots and a level between 0 and 1");
  const double freedom = static_cast<double>(n - 1);
  return sd * std::sqrt(freedom / boost::math::quantile(boost::math::chi_squared(freedom), 1 - level));
}

VarianceComponents variance_components(const std::vector<std::vector<double>>& differences) {
  const size_t rows = differences.size(), columns = rows == 0 ? 0 : differences[0].size();
  for (const auto& row : differences)
    if (row.size() != columns) throw core::ConfigError("stats", "the table of seeds by blocks is ragged");
  if (rows < 2 || columns < 2) throw core::ConfigError("stats", "variance components need at least two seeds and two blocks");
  const double S = static_cast<double>(rows), J = static_cast<double>(columns);
  std::vector<double> row_mean(rows, 0.0), column_mean(columns, 0.0);
  double grand = 0;
  for (size_t s = 0; s < rows; ++s)
    for (size_t j = 0; j < columns; ++j) {
      row_mean[s] += differences[s][j] / J;
      column_mean[j] += differences[s][j] / S;
      grand += differences[s][j] / (S * J);
    }
  double seeds = 0, blocks = 0, interaction = 0;
  for (double m : row_mean) seeds += J * square(m - grand) / (S - 1);
  for (double m : column_mean) blocks += S * square(m - grand) / (J - 1);
  for (size_t s = 0; s < rows; ++s)
    for (size_t j = 0; j < columns; ++j)
      interaction += square(differences[s][j] - row_mean[s] - column_mean[j] + grand) / ((S - 1) * (J - 1));
  VarianceComponents out{std::max(0.0, (seeds - interaction) / J), std::max(0.0, (blocks - interaction) / S), interaction};
  out.document_variance = out.document / J;
  out.variance_of_mean = out.seed / S + out.document_variance + out.residual / (S * J);
  return out;
}

}  // namespace assay::stats
