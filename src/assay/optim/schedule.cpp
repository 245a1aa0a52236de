#include "assay/optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "assay/core/error.h"

namespace assay::optim {
namespace {

double reference(const ScheduleConfig& c, const Position& p) {
  const double D = static_cast<double>(c.warmdown_steps), n = static_cast<double>(p.step), N = static_cast<double>(p.total);
  if (D <= 0) return 1;
  if (p.limit > 0) {
    const double average = p.elapsed / std::max(n, 1.0), remaining = std::max(p.limit - p.elapsed, 0.0);
    return remaining <= D * average ? remaining / std::max(D * average, 1e-9) : 1;
  }
  return n >= std::max(N - D, 0.0) && n < N ? std::max((N - n) / std::max(D, 1.0), 0.0) : 1;
}

// Share of the run that lies behind, after the ramp: 0 at its end, 1 at the end of the run.
double progress(const Position& p, double warmup) {
  const double n = static_cast<double>(p.step), N = static_cast<double>(p.total);
  const double by_steps = p.total > 0 ? (n - warmup) / std::max(N - warmup, 1.0) : 0;
  const double by_time = p.limit > 0 ? p.elapsed / p.limit : 0;
  return std::clamp(std::max(by_steps, by_time), 0.0, 1.0);
}

}  // namespace

int64_t warmup_of(const ScheduleConfig& c, int64_t total) {
  return c.warmup_steps >= 0 ? c.warmup_steps : std::max<int64_t>(1, total / 50);
}

double multiplier(const ScheduleConfig& c, const Position& p) {
  if (c.schedule == "constant") return 1;
  if (c.schedule == "reference") return reference(c, p);
  const double n = static_cast<double>(p.step), W = static_cast<double>(warmup_of(c, p.total)), r = c.min_lr_ratio;
  if (n < W) return (n + 1) / W;
  if (c.schedule == "cosine") return r + 0.5 * (1 - r) * (1 + std::cos(std::numbers::pi * progress(p, W)));
  if (c.schedule == "linear") {
    const double D = static_cast<double>(c.warmdown_steps), N = static_cast<double>(p.total);
    const double left = p.limit > 0 ? std::max(p.limit - p.elapsed, 0.0) / std::max(p.elapsed / std::max(n, 1.0), 1e-9) : N - n;
    return D > 0 && left < D ? r + (1 - r) * left / D : 1;
  }
  throw core::ConfigError("optim", core::unknown_name("schedule", c.schedule, {"constant", "cosine", "linear", "reference"}));
}

}  // namespace assay::optim
