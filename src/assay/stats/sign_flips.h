#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "assay/stats/sign_process.h"

namespace assay::stats {

// A path that a stopping rule has seen, and the rule as the path met it.
struct FlipQuestion {
  std::span<const double> d;         // d_1..d_N
  std::span<const double> boundary;  // x_1..x_N: log e that stops at n; infinity where there was no look
  std::span<const double> kappa = kDefaultKappa;
  std::span<const int> escapes = {};  // by round: 1 only the arm escaped, -1 only the control, 0 neither or both; empty: no threshold
};

// Estimate of the effect after stopping, by a stage-wise ordering of paths (Siegmund 1978) over sign flips instead of Gaussian paths.
//
// Key of a path: (+1, -n, mean_n) if it first reaches x_n at n with E+ >= E-, (-1, n, mean_n) if with E+ < E-, (0, 0, mean_N) if never; a
// larger key is a larger effect. p(t) = P(key > observed) + P(key = observed) / 2 over the paths t +- |d_i - t|, each sign fair: all 2^N
// of them for N <= 12, else the observed one and 4095 drawn by Philox ("by simulation"). The estimate is where p crosses 1/2.
// With escapes the key uses the averaged E, and a flipped round exchanges who escaped.
//
// Median-unbiased (exact up to the grid of 2^N) for one arm with d symmetric about the effect that stops by this boundary or at N. It is
// not mean-unbiased. ConfigError: no differences, or lists of unequal length.
class SignFlips {
 public:
  explicit SignFlips(const FlipQuestion& question);
  double p(double t) const;
  double estimate() const;  // 40 bisections on [min d, max d]
  bool by_simulation() const { return sampled_; }

 private:
  struct Key {
    int side = 0;
    int64_t stage = 0;
    double mean = 0;
  };
  bool flipped(size_t path, size_t round) const;
  const LogE& escape(int64_t arm_only, int64_t control_only) const;
  Key key(size_t path, double t) const;
  int compare(const Key& a, const Key& b, double slack) const;

  FlipQuestion q_;
  bool sampled_;
  size_t paths_;
  std::vector<uint64_t> signs_;  // sampled paths: words_ words of bits each
  size_t words_ = 0;
  std::vector<LogE> escape_table_;  // by (arm_only, control_only), where there are escapes
  double low_ = 0, high_ = 0;
  Key observed_;
};

}  // namespace assay::stats
