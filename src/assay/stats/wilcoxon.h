#pragma once
#include <optional>
#include <span>

namespace assay::stats {

// Two-sided p-value of Wilcoxon's signed-rank test by its exact null distribution (all signs equally likely): twice the smaller tail, at
// most 1. Valid for differences symmetric about 0 and an n that was fixed beforehand. No value: a zero, a tie of sizes, no differences.
// ConfigError: a difference that is not finite.
std::optional<double> wilcoxon_p(std::span<const double> d);

}  // namespace assay::stats
