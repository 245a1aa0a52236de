#include "assay/stats/metric.h"

#include <algorithm>

namespace assay::stats {

std::span<const Metric> metrics() {
  static constexpr Metric all[] = {{"val_loss", "nats", "ln V"},
                                   {"val_bits_per_byte", "bits a byte", "ln V"},
                                   {"train_loss", "nats", "ln V"},
                                   {"accuracy", "in accuracy", "0", true}};
  return all;
}

const Metric& metric_named(std::string_view name) {
  const auto all = metrics();
  const auto found = std::find_if(all.begin(), all.end(), [&](const Metric& m) { return m.name == name; });
  return found == all.end() ? all.front() : *found;
}

}  // namespace assay::stats
