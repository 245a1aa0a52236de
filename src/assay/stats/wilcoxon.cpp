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

}  // namespace

std::optional<double> wilcoxon_p(std::span<const double> d) {
  std::vector<double> v(d.begin(), d.end());
  for (double x : v)
    if (!std::isfinite(x)) throw core::ConfigError("stats", "a difference is not finite");
  std::sort(v.begin(), v.end(), [](double a, double b) { return std::abs(a) < std::abs(b); });
  size_t sum = 0;
  for (size_t i = 0; i < v.size(); ++i) {
    if (v[i] == 0 || (i > 0 && std::abs(v[i]) == std::abs(v[i - 1]))) return std::nullopt;
    if (v[i] > 0) sum += i + 1;
  }
  if (v.empty()) return std::nullopt;
  const std::vector<double> p = rank_sum_distribution(v.size());
  sum = std::min(sum, p.size() - 1 - sum);  // the distribution is symmetric: the tail on the smaller side
  double tail = 0;
  for (size_t i = 0; i <= sum; ++i) tail += p[i];
  return std::min(1.0, 2 * tail);
}

}  // namespace assay::stats
