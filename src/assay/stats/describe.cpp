#include "assay/stats/describe.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "assay/core/error.h"
#include "assay/stats/paired.h"

namespace assay::stats {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

double wins(double control, double arm) { return control > arm ? 1 : control == arm ? 0.5 : 0; }

}  // namespace

double quantile(std::span<const double> values, double p) {
  if (!(p >= 0 && p <= 1)) throw core::ConfigError("stats", "a quantile at " + std::to_string(p) + "; wanted a number from 0 to 1");
  if (values.empty()) return kNaN;
  std::vector<double> v(values.begin(), values.end());
  std::sort(v.begin(), v.end());
  const double place = static_cast<double>(v.size() - 1) * p;
  const size_t below = static_cast<size_t>(place), above = std::min(below + 1, v.size() - 1);
  return v[below] + (place - static_cast<double>(below)) * (v[above] - v[below]);
}

double hodges_lehmann(std::span<const double> d) {
  std::vector<double> means;
  means.reserve(d.size() * (d.size() + 1) / 2);
  for (size_t i = 0; i < d.size(); ++i)
    for (size_t j = i; j < d.size(); ++j) means.push_back(d[i] / 2 + d[j] / 2);
  return quantile(means, 0.5);
}

double skewness(std::span<const double> values) {
  const MeanSd m = mean_sd(values);
  if (m.n < 2 || m.sd == 0) return kNaN;
  double second = 0, third = 0;
  for (double v : values) {
    const double z = (v - m.mean) / m.sd;
    second += z * z;
    third += z * z * z;
  }
  const double n = static_cast<double>(m.n);
  return third / n / std::pow(second / n, 1.5);
}

Improvement improvement(std::span<const double> control, std::span<const double> arm) {
  if (control.size() != arm.size())
    throw core::ConfigError("stats",
                            std::to_string(control.size()) + " scores of the control and " + std::to_string(arm.size()) + " of the arm");
  if (control.empty()) return {kNaN, kNaN};
  double paired = 0, all = 0;
  for (size_t i = 0; i < control.size(); ++i) {
    paired += wins(control[i], arm[i]);
    for (double a : arm) all += wins(control[i], a);
  }
  const double n = static_cast<double>(control.size());
  return {paired / n, all / (n * n)};
}

}  // namespace assay::stats
