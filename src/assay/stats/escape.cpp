#include "assay/stats/escape.h"

#include <algorithm>
#include <boost/math/special_functions/beta.hpp>
#include <boost/math/special_functions/gamma.hpp>
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "assay/core/error.h"
#include "assay/stats/logs.h"
#include "assay/stats/paired.h"

namespace assay::stats {
namespace {

constexpr size_t kFewestPilots = 8;

double log_beta(double a, double b) { return boost::math::lgamma(a) + boost::math::lgamma(b) - boost::math::lgamma(a + b); }

// lbeta(k+1/2, n-k+1/2) - lbeta(1/2, 1/2), where B(1/2, 1/2) = pi.
double log_mixture(double k, double rest) { return log_beta(k + 0.5, rest + 0.5) - std::log(std::numbers::pi); }

// count * log p, where no count costs nothing also at p = 0.
double cost(double count, double p) { return count == 0 ? 0 : count * std::log(p); }

// Sum of squared deviations from the part's own mean.
double squares(std::span<const double> part) {
  const MeanSd m = mean_sd(part);
  return m.n < 2 ? 0 : m.sd * m.sd * static_cast<double>(m.n - 1);
}

}  // namespace

Score score(double loss, std::optional<double> cap) {
  if (!std::isfinite(loss)) return {cap.value_or(loss), true};
  return {cap ? std::min(loss, *cap) : loss, false};
}

LogE escape_log_e(int64_t arm_only, int64_t control_only) {
  if (arm_only < 0 || control_only < 0) throw core::ConfigError("stats", "a count of discordant rounds is negative");
  const double a = static_cast<double>(arm_only), b = static_cast<double>(control_only);
  const double both = (a + b) * std::numbers::ln2 + log_mixture(a, b);
  const double more = boost::math::ibetac(a + 0.5, b + 0.5, 0.5), less = boost::math::ibeta(a + 0.5, b + 0.5, 0.5);
  return {both + std::numbers::ln2 + std::log(more), both + std::numbers::ln2 + std::log(less), both};
}

double discordant_p(int64_t arm_only, int64_t control_only) {
  if (arm_only < 0 || control_only < 0) throw core::ConfigError("stats", "a count of discordant rounds is negative");
  if (arm_only == control_only) return 1;
  const double all = static_cast<double>(arm_only + control_only), fewer = static_cast<double>(std::min(arm_only, control_only));
  return std::min(1.0, 2 * boost::math::ibetac(fewer + 1, all - fewer, 0.5));  // P(Binomial(all, 1/2) <= fewer), doubled
}

LogE averaged(const LogE& mean, const LogE& escape) {
  const auto half = [](double a, double b) { return log_add(a, b) - std::numbers::ln2; };
  return {half(mean.plus, escape.plus), half(mean.minus, escape.minus), half(mean.two_sided, escape.two_sided)};
}

Interval rate_interval(int64_t k, int64_t n, double alpha) {
  if (k < 0 || k > n) throw core::ConfigError("stats", "a rate of " + std::to_string(k) + " of " + std::to_string(n));
  if (!(alpha > 0 && alpha < 1))
    throw core::ConfigError("stats", "alpha is " + std::to_string(alpha) + "; wanted a number between 0 and 1");
  const double hits = static_cast<double>(k), misses = static_cast<double>(n - k), start = log_mixture(hits, misses);
  const auto inside = [&](double p) { return start - cost(hits, p) - cost(misses, 1 - p) < -std::log(alpha); };
  const auto end = [&](double out) {  // convex in p, smallest at k/n
    if (inside(out)) return out;
    double in = n == 0 ? 0.5 : hits / static_cast<double>(n);
    for (int i = 0; i < 200; ++i) {
      const double middle = in + (out - in) / 2;
      (inside(middle) ? in : out) = middle;
    }
    return in + (out - in) / 2;
  };
  return {end(0), end(1)};
}

std::optional<double> escape_threshold(std::span<const double> pool) {
  if (pool.size() < kFewestPilots) return std::nullopt;
  std::vector<double> v(pool.begin(), pool.end());
  for (double x : v)
    if (!std::isfinite(x)) throw core::ConfigError("stats", "a pilot's score is not finite");
  std::sort(v.begin(), v.end());
  size_t split = 2;
  for (size_t i = 3; i + 2 <= v.size(); ++i)
    if (v[i] - v[i - 1] > v[split] - v[split - 1]) split = i;
  const double gap = v[split] - v[split - 1];
  const std::span<const double> all(v);
  const double sd = std::sqrt((squares(all.first(split)) + squares(all.subspan(split))) / static_cast<double>(v.size() - 2));
  if (gap == 0 || gap < 3 * sd) return std::nullopt;
  return v[split - 1] + gap / 2;
}

}  // namespace assay::stats
