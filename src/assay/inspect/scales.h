#pragma once
#include "assay/core/value.h"
#include "assay/train/session.h"

namespace assay::inspect {

// What a model has learnt in its vectors and scalars - gates, steps, gains, temperatures - and in its running statistics, in order of the layers.
struct Scale {
  std::string name;
  double mean = 0, deviation = 0, least = 0, most = 0;
  std::vector<double> values;
};
std::vector<Scale> scales(const arch::Built& built);

core::Value to_value(const std::vector<Scale>& scales);  // [{name, mean, deviation, least, most, values[]}]
std::string to_text(const std::vector<Scale>& scales);   // a table without the values

}  // namespace assay::inspect
