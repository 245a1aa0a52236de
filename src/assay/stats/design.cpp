#include "assay/stats/design.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "assay/core/error.h"
#include "assay/stats/escape.h"
#include "assay/stats/slack.h"

namespace assay::stats {
namespace {

using core::ConfigError;
using core::Value;

void require(bool good, const std::string& option, const std::string& got, const std::string& wanted) {
  if (!good) throw ConfigError("design", option + " is " + got + "; wanted " + wanted);
}

bool positive(const std::optional<double>& v) { return !v || (*v > 0 && std::isfinite(*v)); }

void check_hypothesis(const Hypothesis& h) {
  require(!h.arm.empty() && !h.control.empty(), "a hypothesis", "without a name of its arm or control", "both");
  require(positive(h.margin), "margin of " + h.arm, std::to_string(h.margin.value_or(0)), "a positive number");
  for (const auto& v : {h.escape_threshold, h.cap})
    require(!v || std::isfinite(*v), "threshold or cap of " + h.arm, "not finite", "a number");
}

Value or_null(const std::optional<double>& v) { return v ? Value(*v) : Value(); }

Value document_of(const Hypothesis& h) {
  Value v = Value::object();
  v["arm"] = h.arm;
  v["control"] = h.control;
  v["metric"] = h.metric;
  v["unit"] = h.unit;
  v["margin"] = or_null(h.margin);
  v["escape_threshold"] = or_null(h.escape_threshold);
  v["escape_below"] = h.escape_below;
  v["cap"] = or_null(h.cap);
  return v;
}

}  // namespace

double Design::log_threshold() const { return std::log(static_cast<double>(m()) / alpha); }

int64_t fewest_seeds(const Design& design, const Hypothesis& hypothesis) {
  for (int64_t n = 1;; ++n) {
    const LogE mean{0, 0, largest_log_e(n, design.kappa)};
    const double reach = hypothesis.escape_threshold ? averaged(mean, escape_log_e(n, 0)).two_sided : mean.two_sided;
    if (reach >= design.log_threshold() - kSlack) return n;
  }
}

void check(const Design& design) {
  require(!design.hypotheses.empty(), "the number of hypotheses", "0", "at least 1");
  require(design.alpha > 0 && design.alpha < 1, "alpha", std::to_string(design.alpha), "a number between 0 and 1");
  require(design.g > 0 && std::isfinite(design.g), "g", std::to_string(design.g), "a positive number");
  require(design.first_look >= 2, "first_look", std::to_string(design.first_look), "at least 2");
  require(!design.fixed_n || *design.fixed_n >= 2, "fixed_n", std::to_string(design.fixed_n.value_or(0)), "at least 2");
  (void)SignSums(design.kappa);
  for (const Hypothesis& h : design.hypotheses) check_hypothesis(h);
  const auto& all = design.hypotheses;
  require(!design.futility || std::any_of(all.begin(), all.end(), [](const Hypothesis& h) { return h.margin.has_value(); }), "futility",
          "on", "a margin with it");
  require(design.max_seeds >= design.first_look, "max_seeds", std::to_string(design.max_seeds),
          "at least first_look = " + std::to_string(design.first_look));
  for (const Hypothesis& h : all) {
    const int64_t fewest = fewest_seeds(design, h);
    require(design.max_seeds >= fewest, "max_seeds", std::to_string(design.max_seeds),
            "at least " + std::to_string(fewest) + ", the fewest seeds that can give " + h.arm + " a verdict among " +
                std::to_string(design.m()) + " hypotheses at alpha = " + core::to_json(Value(design.alpha)));
  }
}

Value document_of(const Design& design) {
  Value v = Value::object();
  v["alpha"] = design.alpha;
  v["m"] = design.m();
  v["max_seeds"] = design.max_seeds;
  v["first_look"] = design.first_look;
  v["kappa"] = Value::array();
  for (double k : design.kappa) v["kappa"].push_back(k);
  v["g"] = design.g;
  v["futility"] = design.futility;
  v["fixed_n"] = design.fixed_n ? Value(*design.fixed_n) : Value();
  v["hypotheses"] = Value::array();
  for (const Hypothesis& h : design.hypotheses) v["hypotheses"].push_back(document_of(h));
  return v;
}

}  // namespace assay::stats
