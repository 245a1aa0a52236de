#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace assay::stats {

// Paired differences control - arm, so that positive means that the arm's loss is lower.
struct PairedSummary {
  int64_t n = 0;
  double mean = 0, sd = 0;        // sample standard deviation (n - 1); NaN below two pairs
  double lower = 0, upper = 0;    // two-sided t interval for the mean; NaN below two pairs
  double t = 0, p_two_sided = 1;  // Student's paired t test; t = NaN, p = 1 below two pairs and when every difference is zero
  double p_greater = 1;           // against "the mean is not positive"
};
// Valid for independent Gaussian differences and an n that was fixed beforehand. ConfigError: confidence outside (0, 1), a non-finite difference.
PairedSummary paired_t(std::span<const double> differences, double confidence = 0.95);

// Mean and sample standard deviation (NaN below two values) of finite values; ConfigError otherwise.
struct MeanSd {
  int64_t n = 0;
  double mean = 0, sd = 0;  // mean: NaN without values
};
MeanSd mean_sd(std::span<const double> values);

struct SignFlip {
  double p_two_sided = 1, p_greater = 1;
};
// Exact sign-flip test by enumeration of the 2^n sign vectors (ties count; n <= 20, ConfigError above). Valid for differences symmetric
// about 0 and an n that was fixed beforehand.
inline constexpr int64_t kMaxSignFlips = 20;
SignFlip sign_flip(std::span<const double> differences);

}  // namespace assay::stats
