#include "assay/stats/entropy_rule.h"

#include <cmath>

namespace assay::stats {

double EntropyRule::threshold() const {
  constexpr double delta = 1e-6;
  return -std::log(delta);
}

}  // namespace assay::stats
