#include "assay/stats/wilcoxon.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "assay/core/error.h"

namespace assay::stats {
namespace {

// Probabilities of every rank sum 0..n(n+1)/2 when each rank counts with probability 1/2.
std::vector<double> rank_sum_distribution(size_t n) {
  std::vector<double> p(n * (n + 1) / 2 + 1, 0.0);
  p[0] = 1;
  for (size_t rank = 1; rank <= n; ++rank)
    for (size_t sum = p.size(); sum-- > 0;) p[sum] = p[sum] / 2 + (sum >= rank ? p[sum - rank] / 2 : 0);
  return p;
}

// Sum of the ranks (by size) of the positive differences; among equal sizes the positive ones come first or last.
size_t positive_ranks(std::vector<double> d, bool positive_first) {
  std::sort(d.begin(), d.end(), [&](double a, double b) {
    if (std::abs(a) != std::abs(b)) return std::abs(a) < std::abs(b);
    return positive_first ? a > b : a < b;
  });
  size_t sum = 0;
  for (size_t i = 0; i < d.size(); ++i)
    if (d[i] > 0) sum += i + 1;
  return sum;
}

// P(rank sum <= sum).
double lower_tail(const std::vector<double>& distribution, size_t sum) {
  double tail = 0;
  for (size_t i = 0; i <= sum; ++i) tail += distribution[i];
  return tail;
}

}  // namespace

std::optional<double> wilcoxon_p(std::span<const double> d) {
  const std::vector<double> v(d.begin(), d.end());
  for (double x : v)
    if (!std::isfinite(x)) throw core::ConfigError("stats", "a difference is not finite");
  if (v.empty() || std::find(v.begin(), v.end(), 0.0) != v.end()) return std::nullopt;
  const std::vector<double> p = rank_sum_distribution(v.size());
  const size_t fewest = positive_ranks(v, true), most = positive_ranks(v, false);
  // The distribution is symmetric: the upper tail from `fewest` is the lower one up to its mirror image.
  return std::min(1.0, 2 * std::min(lower_tail(p, most), lower_tail(p, p.size() - 1 - fewest)));
}

}  // namespace assay::stats
