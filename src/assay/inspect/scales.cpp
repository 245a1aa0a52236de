#include "assay/inspect/scales.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace assay::inspect {
namespace {

Scale scale_of(const std::string& name, const Tensor& t) {
  const Tensor flat = t.detach().to(at::kCPU, at::kDouble).reshape({-1}).contiguous();
  Scale s;
  s.name = name;
  s.values.assign(flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel());
  const auto n = static_cast<double>(s.values.size());
  for (double x : s.values) s.mean += x / n;
  for (double x : s.values) s.deviation += (x - s.mean) * (x - s.mean) / n;
  s.deviation = std::sqrt(s.deviation);
  s.least = *std::min_element(s.values.begin(), s.values.end());
  s.most = *std::max_element(s.values.begin(), s.values.end());
  return s;
}

}  // namespace

std::vector<Scale> scales(const arch::Built& built) {
  std::vector<Scale> out;
  for (const auto& e : built.params->entries())
    if (e.shape.size() < 2 && e.numel > 0) out.push_back(scale_of(e.name, e.value));
  for (const auto& s : built.params->states())
    if (s.value.numel() > 0) out.push_back(scale_of("state/" + s.name, s.value));
  return out;
}

core::Value to_value(const std::vector<Scale>& scales) {
  core::Value all = core::Value::array();
  for (const Scale& s : scales) {
    core::Value v = core::Value::object();
    v["name"] = s.name;
    v["mean"] = s.mean;
    v["deviation"] = s.deviation;
    v["least"] = s.least;
    v["most"] = s.most;
    v["values"] = core::Value::array();
    for (double x : s.values) v["values"].push_back(x);
    all.push_back(std::move(v));
  }
  return all;
}

std::string to_text(const std::vector<Scale>& scales) {
  std::string out = "parameter                          entries       mean  deviation      least       most\n";
  char line[200];
  for (const Scale& s : scales) {
    std::snprintf(line, sizeof line, "%-34s %7zu %10.5g %10.5g %10.5g %10.5g\n", s.name.c_str(), s.values.size(), s.mean, s.deviation,
                  s.least, s.most);
    out += line;
  }
  return out;
}

}  // namespace assay::inspect
