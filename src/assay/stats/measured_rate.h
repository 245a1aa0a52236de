#pragma once
#include <cstdint>

#include "assay/core/value.h"

namespace assay::stats {

// What the rule's calibration measured, as docs/statistics.md has it: the largest rate of false verdicts over all shapes of noise that the
// guarantee covers, at the nearest stated rate that was simulated.
struct MeasuredRate {
  double stated_rate = 0, false_rate = 0;
  const char* noise = "";  // under which it was the largest
  int64_t campaigns = 0;   // simulated for each shape
  const char* command = "";
};
MeasuredRate measured_rate(double stated_rate);

core::Value document_of(const MeasuredRate& rate);

}  // namespace assay::stats
