#pragma once
#include <span>
#include <string_view>

namespace assay::stats {

// What the runs of a campaign may be compared by.
struct Metric {
  std::string_view name;
  std::string_view unit;    // of a difference, as a sentence has it: "by 0.02 nats"
  std::string_view capped;  // what a diverged run scores, in words
  bool higher_is_better = false;

  // The score that a rule compares: lower is better, whatever the metric is. Its own inverse.
  double score(double value) const { return higher_is_better ? -value : value; }
  std::string_view better() const { return higher_is_better ? "higher is better" : "lower is better"; }
};

std::span<const Metric> metrics();
// By name; one that is not among them (of a campaign of another version) is a loss in nats.
const Metric& metric_named(std::string_view name);

}  // namespace assay::stats
