#include "assay/stats/logs.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace assay::stats {

double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

double log_add(double a, double b) {
  const double top = std::max(a, b);
  if (std::isinf(top)) return top;
  return top + std::log1p(std::exp(std::min(a, b) - top));
}

double log_mean(std::span<const double> logs) {
  double top = -std::numeric_limits<double>::infinity();
  for (double v : logs) top = std::max(top, v);
  if (std::isinf(top)) return top;
  double sum = 0;
  for (double v : logs) sum += std::exp(v - top);
  return top + std::log(sum / static_cast<double>(logs.size()));
}

}  // namespace assay::stats
