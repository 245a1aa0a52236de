#pragma once
#include <limits>

namespace assay::stats {

// [lower, upper], in the units of the differences; an end that is infinite is not bounded (yet).
struct Interval {
  double lower = -std::numeric_limits<double>::infinity(), upper = std::numeric_limits<double>::infinity();
  bool bounded() const { return lower > -std::numeric_limits<double>::infinity() && upper < std::numeric_limits<double>::infinity(); }
};

}  // namespace assay::stats
