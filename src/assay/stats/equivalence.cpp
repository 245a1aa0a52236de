#include "assay/stats/equivalence.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "assay/core/error.h"

namespace assay::stats {

EquivalenceProcess::EquivalenceProcess(double margin, std::span<const double> kappa)
    : margin_(margin), not_above_(kappa), not_below_(kappa) {
  if (!(margin > 0 && std::isfinite(margin)))
    throw core::ConfigError("stats", "margin is " + std::to_string(margin) + "; wanted a positive number");
}

void EquivalenceProcess::add(double difference) {
  not_above_.add(difference - margin_);
  not_below_.add(difference + margin_);
}

double EquivalenceProcess::log_e() const { return std::min(log_e_not_above(), log_e_not_below()); }

}  // namespace assay::stats
