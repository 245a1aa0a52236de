#include <algorithm>
#include <cmath>
#include <limits>

#include "assay/stats/verdict.h"

namespace assay::stats {
namespace {

using core::Value;

Value or_null(double v) { return std::isfinite(v) ? Value(v) : Value(); }
Value or_null(const std::optional<double>& v) { return v ? or_null(*v) : Value(); }

// [lower, upper], an open end null; null where neither is bounded.
Value of(const Interval& i) {
  if (!std::isfinite(i.lower) && !std::isfinite(i.upper)) return {};
  return Value::Array{or_null(i.lower), or_null(i.upper)};
}
Value of(const std::optional<Interval>& i) { return i ? of(*i) : Value(); }

double e_value(double log_e) { return std::min(std::exp(log_e), std::numeric_limits<double>::max()); }

Value of(const Quantiles& q) { return Value::Array{or_null(q.low), or_null(q.median), or_null(q.high)}; }

Value of(const EscapeRate& r) {
  Value v = Value::object();
  v["escaped"] = r.escaped;
  v["runs"] = r.runs;
  v["interval"] = of(r.interval);
  return v;
}

Value of(const std::optional<FixedN>& f) {
  if (!f) return {};
  Value v = Value::object();
  v["t"] = or_null(f->t);
  v["t_p_two_sided"] = or_null(f->t_p_two_sided);
  v["t_p_greater"] = or_null(f->t_p_greater);
  v["t_interval"] = of(f->t_interval);
  v["sign_flip_p_two_sided"] = or_null(f->flip_p_two_sided);
  v["sign_flip_p_greater"] = or_null(f->flip_p_greater);
  v["wilcoxon_p_two_sided"] = or_null(f->wilcoxon_p_two_sided);
  return v;
}

void add_evidence(Value& out, const Verdict& v) {
  out["interval"] = of(v.interval);
  out["level"] = v.level;
  out["interval_alone"] = of(v.interval_alone);
  out["level_alone"] = v.level_alone;
  out["e_value"] = e_value(v.log_e);
  out["log_e"] = v.log_e;
  out["log_e_plus"] = or_null(v.log_e_plus);
  out["log_e_minus"] = or_null(v.log_e_minus);
  out["p_value"] = v.p_value;
  out["p_holm"] = v.p_holm;
  out["gaussian"] = Value::object();
  out["gaussian"]["e_value"] = e_value(v.gaussian_log_e);
  out["gaussian"]["log_e"] = v.gaussian_log_e;
  out["gaussian"]["interval"] = of(v.gaussian_interval);
  out["margin"] = or_null(v.margin);
  out["log_e_equivalent"] = or_null(v.log_e_equivalent);
  out["within_margin"] = v.within_margin;
}

void add_descriptions(Value& out, const Verdict& v) {
  out["mean"] = or_null(v.mean);
  out["median"] = or_null(v.median);
  out["sd"] = or_null(v.sd);
  out["hodges_lehmann"] = or_null(v.hodges_lehmann);
  out["skewness"] = or_null(v.skewness);
  out["improvement"] = or_null(v.improvement.paired);
  out["improvement_interval"] = of(v.improvement_interval);
  out["improvement_all_pairs"] = or_null(v.improvement.all_pairs);
  out["quantiles"] = of(v.arm_quantiles);
  out["control_quantiles"] = of(v.control_quantiles);
  out["escape"] = Value();
  if (v.escape_threshold) {
    out["escape"]["threshold"] = *v.escape_threshold;
    out["escape"]["arm"] = of(v.arm_escapes);
    out["escape"]["control"] = of(v.control_escapes);
  }
  out["diverged"] = v.diverged;
}

}  // namespace

Value document_of(const Verdict& v) {
  Value out = Value::object();
  out["name"] = v.name;
  out["control"] = v.control;
  out["metric"] = v.metric;
  out["unit"] = v.unit;
  out["verdict"] = name_of(v.word);
  out["sentence"] = v.sentence;
  out["reason"] = v.reason;
  out["running"] = v.running;
  out["seeds"] = v.seeds;
  out["effect"] = or_null(v.effect);
  out["effect_method"] = v.effect_method;
  out["effect_over_sd"] = v.effect ? or_null(*v.effect / v.sd) : Value();
  add_evidence(out, v);
  add_descriptions(out, v);
  out["detectable_effect"] = or_null(v.detectable_effect);
  out["detectable_power"] = v.detectable_effect ? Value(v.detectable_power) : Value();
  out["stated_rate"] = v.alpha;
  out["hypotheses"] = v.m;
  out["fixed_n"] = of(v.fixed_n);
  return out;
}

}  // namespace assay::stats
