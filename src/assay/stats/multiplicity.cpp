#include "assay/stats/multiplicity.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "assay/core/error.h"
#include "assay/stats/slack.h"

namespace assay::stats {
namespace {

double threshold(double alpha, int64_t m, int64_t j) {
  return std::log(static_cast<double>(m) / (alpha * static_cast<double>(j))) - kSlack;
}

void require(double alpha, int64_t m, size_t given) {
  if (!(alpha > 0 && alpha < 1))
    throw core::ConfigError("stats", "alpha is " + std::to_string(alpha) + "; wanted a number between 0 and 1");
  if (m < static_cast<int64_t>(given))
    throw core::ConfigError("stats",
                            "m is " + std::to_string(m) + " for " + std::to_string(given) + " hypotheses; wanted at least as many");
}

int64_t count_from(std::span<const double> values, double limit) {
  return std::count_if(values.begin(), values.end(), [&](double v) { return v >= limit; });
}

}  // namespace

std::vector<size_t> e_bh(std::span<const double> log_e, double alpha, int64_t m) {
  require(alpha, m, log_e.size());
  std::vector<size_t> rejected;
  for (int64_t k = static_cast<int64_t>(log_e.size()); k > 0; --k) {
    const double limit = threshold(alpha, m, k);
    if (count_from(log_e, limit) < k) continue;
    for (size_t i = 0; i < log_e.size(); ++i)
      if (log_e[i] >= limit) rejected.push_back(i);
    break;
  }
  return rejected;
}

double e_bh_boundary(std::span<const double> others, double alpha, int64_t m) {
  require(alpha, m, others.size() + 1);
  double lowest = threshold(alpha, m, 1);
  for (int64_t k = 2; k <= static_cast<int64_t>(others.size()) + 1; ++k) {
    const double limit = threshold(alpha, m, k);
    if (count_from(others, limit) >= k - 1) lowest = limit;  // limits fall with k
  }
  return lowest;
}

std::vector<double> holm_adjusted(std::span<const double> p) {
  for (double v : p)
    if (!(v >= 0 && v <= 1)) throw core::ConfigError("stats", "a p-value is " + std::to_string(v) + "; wanted a number from 0 to 1");
  std::vector<size_t> order(p.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return p[a] < p[b]; });
  std::vector<double> adjusted(p.size());
  double largest = 0;
  for (size_t j = 0; j < order.size(); ++j) {
    largest = std::max(largest, std::min(1.0, static_cast<double>(p.size() - j) * p[order[j]]));
    adjusted[order[j]] = largest;
  }
  return adjusted;
}

}  // namespace assay::stats
