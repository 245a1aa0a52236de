#include "assay/stats/sign_interval.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "assay/core/error.h"
#include "assay/stats/logs.h"

namespace assay::stats {
namespace {

constexpr int kGrid = 2000, kBisections = 100, kMaxDoublings = 200;

// The set S_n on a grid that reaches one range of the differences beyond them on each side. E_n(d - t) is not monotone in t and jumps at
// t = d_1, where z_1 changes its sign, so the set is found by a scan.
class Inside {
 public:
  Inside(std::span<const double> d, double alpha, std::span<const double> kappa) : d_(d), kappa_(kappa), limit_(-std::log(alpha)) {
    if (!(alpha > 0 && alpha < 1))
      throw core::ConfigError("stats", "alpha is " + std::to_string(alpha) + "; wanted a number between 0 and 1");
    for (double v : d)
      if (!std::isfinite(v)) throw core::ConfigError("stats", "a difference is not finite");
    if (d.empty()) return;
    const auto [low, high] = std::minmax_element(d.begin(), d.end());
    low_ = *low;
    range_ = *high - *low;
  }
  bool operator()(double t) const { return sign_log_e(d_, t, kappa_).two_sided < limit_; }
  double grid(int j) const { return low_ - range_ + 3 * range_ * j / kGrid; }
  bool at(int j) const { return (*this)(grid(j)); }
  double low() const { return low_; }
  double range() const { return range_; }

  // E of equal differences: its value at t -> +-infinity.
  bool unbounded() const {
    SignSums equal(kappa_);
    for (size_t i = 0; i < d_.size(); ++i) equal.add(1);
    return equal.log_e().two_sided < limit_;
  }

 private:
  std::span<const double> d_, kappa_;
  double limit_, low_ = 0, range_ = 0;
};

double boundary(const Inside& inside, double in, double out) {
  for (int i = 0; i < kBisections; ++i) {
    const double middle = in + (out - in) / 2;
    (inside(middle) ? in : out) = middle;
  }
  return in + (out - in) / 2;
}

// From the inside grid point j towards `side` (-1 or 1).
double end_of(const Inside& inside, int j, int side) {
  const double start = inside.grid(j);
  if (j != (side < 0 ? 0 : kGrid)) return boundary(inside, start, inside.grid(j + side));
  double in = start, step = inside.range();
  for (int i = 0; i < kMaxDoublings; ++i, step *= 2) {
    const double out = start + side * step;
    if (!std::isfinite(out)) break;
    if (!inside(out)) return boundary(inside, in, out);
    in = out;
  }
  return side * std::numeric_limits<double>::infinity();
}

}  // namespace

std::optional<Interval> sign_interval(std::span<const double> d, double alpha, std::span<const double> kappa) {
  const Inside inside(d, alpha, kappa);
  if (inside.unbounded()) return Interval{};
  if (inside.range() == 0) return Interval{inside.low(), inside.low()};
  int first = 0, last = kGrid;
  while (first <= kGrid && !inside.at(first)) ++first;
  if (first > kGrid) return std::nullopt;
  while (!inside.at(last)) --last;
  return Interval{end_of(inside, first, -1), end_of(inside, last, 1)};
}

bool symmetric_about_some_value(std::span<const double> d, double alpha, std::span<const double> kappa) {
  const Inside inside(d, alpha, kappa);
  if (inside.unbounded() || inside.range() == 0) return true;
  for (int away = 0; away <= kGrid / 2; ++away)  // from the middle outwards: there it nearly always ends at once
    if (inside.at(kGrid / 2 - away) || inside.at(kGrid / 2 + away)) return true;
  return false;
}

}  // namespace assay::stats
