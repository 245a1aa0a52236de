#include "assay/stats/paired.h"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <limits>
#include <string>

#include "assay/core/error.h"

namespace assay::stats {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

void require_finite(std::span<const double> values) {
  for (size_t i = 0; i < values.size(); ++i)
    if (!std::isfinite(values[i]))
      throw core::ConfigError("stats", "value " + std::to_string(i) + " of " + std::to_string(values.size()) + " is not finite");
}

// Sums of `part` under all of its sign vectors: bit i of the index set means that value i keeps its sign.
std::vector<double> signed_sums(std::span<const double> part) {
  std::vector<double> sums(size_t{1} << part.size());
  for (size_t signs = 0; signs < sums.size(); ++signs)
    for (size_t i = 0; i < part.size(); ++i) sums[signs] += (signs >> i & 1) ? part[i] : -part[i];
  return sums;
}

}  // namespace

MeanSd mean_sd(std::span<const double> values) {
  require_finite(values);
  MeanSd out{static_cast<int64_t>(values.size()), kNaN, kNaN};
  if (values.empty()) return out;
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  if (*low == *high) {  // exact, where a rounded mean would leave a spread of one unit in the last place
    out.mean = *low;
    if (values.size() > 1) out.sd = 0;
    return out;
  }
  const long double n = static_cast<long double>(values.size());
  long double sum = 0, squares = 0;
  for (double v : values) sum += v;
  const long double mean = sum / n;
  for (double v : values) squares += (v - mean) * (v - mean);
  out.mean = static_cast<double>(mean);
  out.sd = static_cast<double>(std::sqrt(squares / (n - 1)));
  return out;
}

PairedSummary paired_t(std::span<const double> differences, double confidence) {
  if (!(confidence > 0 && confidence < 1))
    throw core::ConfigError("stats", "confidence is " + std::to_string(confidence) + "; wanted a number between 0 and 1");
  const MeanSd m = mean_sd(differences);
  PairedSummary out{m.n, m.mean, m.sd, kNaN, kNaN, kNaN, 1};
  if (m.n < 2) return out;
  const boost::math::students_t distribution(static_cast<double>(m.n - 1));
  const double error = m.sd / std::sqrt(static_cast<double>(m.n));
  const double reach = error * boost::math::quantile(boost::math::complement(distribution, (1 - confidence) / 2));
  out.lower = m.mean - reach;
  out.upper = m.mean + reach;
  if (error > 0) {
    out.t = m.mean / error;
    out.p_two_sided = 2 * boost::math::cdf(boost::math::complement(distribution, std::abs(out.t)));
    out.p_greater = boost::math::cdf(boost::math::complement(distribution, out.t));
  } else if (m.mean != 0) {  // equal differences: the limit of a vanishing spread
    out.t = std::copysign(std::numeric_limits<double>::infinity(), m.mean);
    out.p_two_sided = 0;
    out.p_greater = m.mean > 0 ? 0 : 1;
  }
  return out;
}

SignFlip sign_flip(std::span<const double> differences) {
  require_finite(differences);
  if (differences.size() > static_cast<size_t>(kMaxSignFlips))
    throw core::ConfigError("stats", "n too large: an exact sign-flip test of " + std::to_string(differences.size()) +
                                         " differences; wanted at most " + std::to_string(kMaxSignFlips));
  // Every total is the sum of one entry from each half's table, so that the enumeration costs one addition a sign vector.
  const size_t half = differences.size() / 2;
  const std::vector<double> first = signed_sums(differences.first(half)), second = signed_sums(differences.subspan(half));
  const double observed = first.back() + second.back();
  double scale = 0;
  for (double d : differences) scale += std::abs(d);
  const double slack = 1e-12 * scale;  // equal sums that differ by rounding are ties
  int64_t beyond = 0, greater = 0;
  for (double a : first)
    for (double b : second) {
      greater += a + b >= observed - slack;
      beyond += std::abs(a + b) >= std::abs(observed) - slack;
    }
  const double total = std::ldexp(1.0, static_cast<int>(differences.size()));
  return {static_cast<double>(beyond) / total, static_cast<double>(greater) / total};
}

}  // namespace assay::stats
