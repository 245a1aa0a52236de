#pragma once
#include <optional>
#include <span>

namespace assay::stats {

// Two-sided p-value of Wilcoxon's signed-rank test by its exact null distribution (all signs equally likely): twice the smaller tail, at
// most 1. Valid for differences symmetric about 0 and an n that was fixed beforehand. Equal sizes of opposite signs are ranked against each
// tail in turn, which keeps it valid and makes it conservative; scipy's rounding of mid-ranks agrees for pairs. No value: a zero, no
// differences. ConfigError: a difference that is not finite.
std::optional<double> wilcoxon_p(std::span<const double> d);

}  // namespace assay::stats
