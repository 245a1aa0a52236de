#include "assay/stats/mixture_t.h"

#include <cmath>
#include <string>

#include "assay/core/error.h"
#include "assay/stats/paired.h"

namespace assay::stats {
namespace {

struct Moments {
  double n, mean, squares, log_r;  // squares = sum (d - mean)^2, r = g / (g + n)
};

Moments moments(std::span<const double> d, double g) {
  if (!(g > 0 && std::isfinite(g))) throw core::ConfigError("stats", "g is " + std::to_string(g) + "; wanted a positive number");
  const MeanSd m = mean_sd(d);
  const double n = static_cast<double>(m.n);
  return {n, m.mean, m.n < 2 ? 0 : m.sd * m.sd * (n - 1), -std::log1p(n / g)};
}

}  // namespace

double mixture_t_log_e(std::span<const double> d, double g, double mean0) {
  const Moments m = moments(d, g);
  if (!std::isfinite(mean0)) throw core::ConfigError("stats", "mean0 is not finite");
  if (m.n < 2) return 0;
  const double shift = m.mean - mean0;
  if (m.squares == 0) return shift == 0 ? 0 : (m.n - 1) / 2 * -m.log_r;
  const double q = m.n * shift * shift / m.squares;
  return m.log_r / 2 + m.n / 2 * (std::log1p(q) - std::log1p(std::exp(m.log_r) * q));
}

Interval mixture_t_interval(std::span<const double> d, double alpha, double g) {
  const Moments m = moments(d, g);
  if (!(alpha > 0 && alpha < 1))
    throw core::ConfigError("stats", "alpha is " + std::to_string(alpha) + "; wanted a number between 0 and 1");
  if (m.n < 2) return {};
  const double b = 2 / m.n * (-std::log(alpha) - m.log_r / 2);
  if (b + m.log_r >= 0) return {};
  const double reach = std::sqrt(std::expm1(b) / -std::expm1(b + m.log_r) * m.squares / m.n);
  return {m.mean - reach, m.mean + reach};
}

}  // namespace assay::stats
