#include "assay/stats/measured_rate.h"

#include <cmath>

namespace assay::stats {
namespace {

constexpr MeasuredRate kMeasured[] = {{0.05, 0.0387, "two-mode +-1", 10000, "assay calibrate --seed 1"},
                                      {0.01, 0.0069, "Gaussian", 10000, "assay calibrate --seed 1"}};

}  // namespace

MeasuredRate measured_rate(double stated_rate) {
  const auto distance = [&](const MeasuredRate& r) { return std::abs(std::log(r.stated_rate / stated_rate)); };
  return distance(kMeasured[1]) < distance(kMeasured[0]) ? kMeasured[1] : kMeasured[0];
}

core::Value document_of(const MeasuredRate& rate) {
  core::Value v = core::Value::object();
  v["stated_rate"] = rate.stated_rate;
  v["false_rate"] = rate.false_rate;
  v["noise"] = rate.noise;
  v["campaigns"] = rate.campaigns;
  v["command"] = rate.command;
  return v;
}

}  // namespace assay::stats
