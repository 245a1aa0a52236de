#include "assay/stats/sign_flips.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "assay/core/error.h"
#include "assay/core/random.h"
#include "assay/stats/escape.h"

namespace assay::stats {
namespace {

constexpr size_t kExhaustive = 12, kSampled = 4096;

void require(const FlipQuestion& q) {
  const auto wrong = [&](size_t n) { return n != q.d.size(); };
  if (q.d.empty() || wrong(q.boundary.size()) || (!q.escapes.empty() && wrong(q.escapes.size())))
    throw core::ConfigError("stats", std::to_string(q.d.size()) + " differences, " + std::to_string(q.boundary.size()) +
                                         " boundaries and " + std::to_string(q.escapes.size()) + " escapes; wanted as many of each");
}

// Path 0 is the observed one: its bits are 0.
std::vector<uint64_t> draw_signs(size_t paths, size_t words) {
  const core::Stream stream(0, "stats/sign_flips");
  std::vector<uint64_t> out(paths * words, 0);
  for (size_t i = words; i < out.size(); ++i) {
    const auto block = stream.block(i);
    out[i] = uint64_t{block[0]} << 32 | block[1];
  }
  return out;
}

// Of every pair of counts up to n.
std::vector<LogE> escape_values(int64_t n) {
  std::vector<LogE> out;
  for (int64_t a = 0; a <= n; ++a)
    for (int64_t b = 0; b <= n; ++b) out.push_back(escape_log_e(a, b));
  return out;
}

}  // namespace

SignFlips::SignFlips(const FlipQuestion& question) : q_(question), sampled_(question.d.size() > kExhaustive) {
  require(q_);
  paths_ = sampled_ ? kSampled : size_t{1} << q_.d.size();
  if (sampled_) {
    words_ = (q_.d.size() + 63) / 64;
    signs_ = draw_signs(paths_, words_);
  }
  if (!q_.escapes.empty()) escape_table_ = escape_values(static_cast<int64_t>(q_.d.size()));
  const auto [low, high] = std::minmax_element(q_.d.begin(), q_.d.end());
  low_ = *low;
  high_ = *high;
  observed_ = key(0, 0);
}

bool SignFlips::flipped(size_t path, size_t round) const {
  if (!sampled_) return (path >> round & 1) != 0;
  return (signs_[path * words_ + round / 64] >> (round % 64) & 1) != 0;
}

const LogE& SignFlips::escape(int64_t arm_only, int64_t control_only) const {
  return escape_table_[static_cast<size_t>(arm_only) * (q_.d.size() + 1) + static_cast<size_t>(control_only)];
}

SignFlips::Key SignFlips::key(size_t path, double t) const {
  SignSums sums(q_.kappa);
  double total = 0;
  int64_t arm_only = 0, control_only = 0;
  const size_t n = q_.d.size();
  for (size_t i = 0; i < n; ++i) {
    const bool flip = flipped(path, i);
    const double value = flip ? 2 * t - q_.d[i] : q_.d[i];
    sums.add(value);
    total += value;
    if (!q_.escapes.empty()) {
      const int escape = flip ? -q_.escapes[i] : q_.escapes[i];
      arm_only += escape > 0;
      control_only += escape < 0;
    }
    const LogE* escapes = q_.escapes.empty() ? nullptr : &escape(arm_only, control_only);
    // An average of e-values reaches a boundary only where one of them does.
    if (std::max(sums.upper_bound(), escapes ? escapes->two_sided : 0) < q_.boundary[i]) continue;
    const LogE e = escapes ? averaged(sums.log_e(), *escapes) : sums.log_e();
    if (e.two_sided < q_.boundary[i]) continue;
    const int64_t stage = static_cast<int64_t>(i) + 1;
    const double mean = total / static_cast<double>(stage);
    return e.plus >= e.minus ? Key{1, -stage, mean} : Key{-1, stage, mean};
  }
  return {0, 0, total / static_cast<double>(n)};
}

int SignFlips::compare(const Key& a, const Key& b, double slack) const {
  if (a.side != b.side) return a.side < b.side ? -1 : 1;
  if (a.stage != b.stage) return a.stage < b.stage ? -1 : 1;
  if (std::abs(a.mean - b.mean) <= slack) return 0;
  return a.mean < b.mean ? -1 : 1;
}

double SignFlips::p(double t) const {
  const double slack = 1e-12 * (std::max(std::abs(low_), std::abs(high_)) + std::abs(t));
  int64_t twice = 0;
  for (size_t path = 0; path < paths_; ++path) twice += compare(key(path, t), observed_, slack) + 1;
  return static_cast<double>(twice) / (2 * static_cast<double>(paths_));
}

double SignFlips::estimate() const {
  double low = low_, high = high_, middle = low_;
  for (int i = 0; i < 40; ++i) {
    middle = low + (high - low) / 2;
    (p(middle) < 0.5 ? low : high) = middle;
  }
  return middle;
}

}  // namespace assay::stats
