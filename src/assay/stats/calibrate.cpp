#include "assay/stats/calibrate.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "assay/core/error.h"

namespace assay::stats {
namespace {

using core::Value;

template <class Rows>
bool all_pass(const Rows& rows) {
  return std::all_of(rows.begin(), rows.end(), [](const auto& row) { return row.pass; });
}

Value row(const NullRate& r) {
  Value v = Value::object();
  v["noise"] = r.noise;
  v["stated_rate"] = r.stated_rate;
  v["false_rate"] = r.false_rate;
  v["campaigns"] = r.campaigns;
  v["limit"] = r.limit;
  v["asserted"] = r.asserted;
  v["pass"] = r.pass;
  v["interval_misses_at_stop"] = r.miss_at_stop;
  v["interval_misses_ever"] = r.miss_ever;
  v["mixture_t_rate"] = r.mixture_t;
  v["repeated_t_rate"] = r.repeated_t;
  return v;
}

Value row(const Coverage& r) {
  Value v = Value::object();
  v["noise"] = r.noise;
  v["effect_over_sd"] = r.effect;
  v["level"] = r.level;
  v["campaigns"] = r.campaigns;
  v["at_stop"] = r.at_stop;
  v["always"] = r.always;
  v["limit"] = r.limit;
  v["asserted"] = r.asserted;
  v["pass"] = r.pass;
  v["found"] = r.found;
  return v;
}

Value row(const ArmsRate& r) {
  Value v = Value::object();
  v["noise"] = r.noise;
  v["real"] = r.real;
  v["campaigns"] = r.campaigns;
  v["stated_rate"] = r.stated_rate;
  v["false_discovery_rate"] = r.fdr;
  v["limit"] = r.limit;
  v["pass"] = r.pass;
  v["any_false"] = r.any_false;
  v["holm_any_false"] = r.holm_any_false;
  v["power"] = r.real == 0 ? Value() : Value(r.power);
  v["holm_power"] = r.real == 0 ? Value() : Value(r.holm_power);
  v["interval_misses"] = r.interval_misses;
  return v;
}

Value row(const SeedsToVerdict& r) {
  Value v = Value::object();
  v["effect_over_sd"] = r.effect;
  v["hypotheses"] = r.hypotheses;
  v["campaigns"] = r.campaigns;
  v["mean"] = r.mean;
  v["standard_error"] = r.standard_error;
  v["median"] = r.median;
  v["high"] = r.high;
  v["n_fix"] = r.n_fix;
  v["ratio"] = r.ratio;
  v["power_by_30"] = r.power;
  v["wanted"] = r.allowance > 0 ? Value(r.wanted) : Value();
  v["pass"] = r.pass;
  return v;
}

template <class Rows>
Value rows(const Rows& list) {
  Value v = Value::array();
  for (const auto& r : list) v.push_back(row(r));
  return v;
}

Value document_of(const GateQuestion& g) {
  Value v = Value::object();
  v["campaigns"] = g.campaigns;
  v["right"] = g.right;
  v["first_right"] = g.first_right;
  v["second_right"] = g.second_right;
  v["median_seeds"] = g.median_seeds;
  return v;
}

}  // namespace

double rate_limit(double alpha, int64_t campaigns) { return alpha + 3 * std::sqrt(alpha * (1 - alpha) / static_cast<double>(campaigns)); }

bool Calibration::pass() const { return all_pass(null_rates) && all_pass(coverage) && all_pass(arms) && all_pass(seeds); }

Calibration calibrate(const CalibrationOptions& options) {
  if (options.campaigns < 1 || options.threads < 1)
    throw core::ConfigError("calibrate", std::to_string(options.campaigns) + " campaigns on " + std::to_string(options.threads) +
                                             " threads; wanted at least 1 of each");
  Calibration out;
  out.options = options;
  const auto add_null = [&](std::span<const NoiseShape> shapes, bool asserted) {
    for (const NoiseShape& s : shapes)
      for (NullRate& r : null_rates(s, asserted, options)) out.null_rates.push_back(std::move(r));
  };
  add_null(symmetric_shapes(), true);
  add_null(two_mode_shapes(), true);
  add_null(skewed_shapes(), false);
  for (const char* name : {"Gaussian", "Student t, 3 df", "uniform", "two-mode +-1", "exponential, centred"})
    for (double effect : {0.0, 0.5, 1.0, 2.0})
      out.coverage.push_back(coverage(shape_named(name), effect, std::string_view(name) != "exponential, centred", options));
  for (const RunNoise& noise : run_noises())
    for (int64_t real = 0; real <= 3; ++real) out.arms.push_back(arms_rate(noise, real, options));
  for (int64_t hypotheses : {1, 4})
    for (double effect : {0.5, 0.8, 1.0, 1.5, 2.0}) out.seeds.push_back(seeds_to_verdict(effect, hypotheses, options));
  out.gate = gate_question(options);
  return out;
}

Value document_of(const Calibration& c) {
  Value v = Value::object();
  v["pass"] = c.pass();
  v["campaigns"] = c.options.campaigns;
  v["seed"] = static_cast<int64_t>(c.options.seed);
  v["null_rates"] = rows(c.null_rates);
  v["coverage"] = rows(c.coverage);
  v["arms"] = rows(c.arms);
  v["seeds"] = rows(c.seeds);
  v["gate"] = document_of(c.gate);
  return v;
}

}  // namespace assay::stats
