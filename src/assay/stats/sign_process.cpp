#include "assay/stats/sign_process.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "assay/core/error.h"
#include "assay/stats/logs.h"

namespace assay::stats {
namespace {

void require_kappa(std::span<const double> kappa) {
  if (kappa.empty() || kappa.size() > kMaxKappa)
    throw core::ConfigError("stats", "kappa has " + std::to_string(kappa.size()) + " entries; wanted 1 to " + std::to_string(kMaxKappa));
  for (double k : kappa)
    if (!(k > 0 && std::isfinite(k)))
      throw core::ConfigError("stats", "kappa has an entry " + std::to_string(k) + "; wanted positive finite numbers");
}

LogE with_both(double plus, double minus) { return {plus, minus, log_add(plus, minus) - std::numbers::ln2}; }

}  // namespace

bool in_range(double difference) {
  const double size = std::abs(difference);
  return size == 0 || (size >= 1e-150 && size <= 1e150);
}

SignSums::SignSums(std::span<const double> kappa) : grid_(kappa.size()) {
  require_kappa(kappa);
  std::copy(kappa.begin(), kappa.end(), kappa_.begin());
}

void SignSums::add(double difference) {
  if (difference == 0) return;
  ++count_;
  squares_ += difference * difference;
  const double s = std::sqrt(squares_ / static_cast<double>(count_));
  const double z = s > 0 ? difference / s : std::copysign(1.0, difference);
  // log(1 +- tanh x) = log 2 - softplus(-+2x); the logarithm is shared, so that exchanging arm and control exchanges the sums bit by bit.
  for (size_t j = 0; j < grid_; ++j) {
    const double x = 2 * kappa_[j] * z, common = std::numbers::ln2 - std::log1p(std::exp(-std::abs(x)));
    plus_[j] += common - std::max(-x, 0.0);
    minus_[j] += common - std::max(x, 0.0);
  }
}

LogE SignSums::log_e() const {
  if (count_ == 0) return {};
  return with_both(log_mean(std::span(plus_).first(grid_)), log_mean(std::span(minus_).first(grid_)));
}

double SignSums::upper_bound() const {
  const auto last = static_cast<std::ptrdiff_t>(grid_);
  return std::max(*std::max_element(plus_.begin(), plus_.begin() + last), *std::max_element(minus_.begin(), minus_.begin() + last));
}

void SignProcess::add(double difference) {
  if (!in_range(difference))
    throw core::ConfigError("stats", "a difference is " + std::to_string(difference) + "; wanted 0 or a size within 1e-150..1e150");
  sums_.add(difference);
  log_e_ = sums_.log_e();
  largest_ = std::max(largest_, log_e_.two_sided);
}

double SignProcess::p_anytime() const { return std::exp(-largest_); }

LogE sign_log_e(std::span<const double> d, double shift, std::span<const double> kappa) {
  SignSums sums(kappa);
  for (double v : d) sums.add(v - shift);
  return sums.log_e();
}

double largest_log_e(int64_t n, std::span<const double> kappa) {
  require_kappa(kappa);
  std::array<double, kMaxKappa> plus{}, minus{};
  for (size_t j = 0; j < kappa.size(); ++j)
    for (int64_t k = 1; k <= n; ++k) {
      const double x = 2 * kappa[j] * std::sqrt(static_cast<double>(k));
      plus[j] += std::numbers::ln2 - softplus(-x);
      minus[j] += std::numbers::ln2 - softplus(x);
    }
  return with_both(log_mean(std::span(plus).first(kappa.size())), log_mean(std::span(minus).first(kappa.size()))).two_sided;
}

}  // namespace assay::stats
