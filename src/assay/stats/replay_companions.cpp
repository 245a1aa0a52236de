#include <algorithm>
#include <optional>

#include "assay/stats/describe.h"
#include "assay/stats/escape.h"
#include "assay/stats/paired.h"
#include "assay/stats/planning.h"
#include "assay/stats/replay_cases.h"
#include "assay/stats/wilcoxon.h"

namespace assay::stats {
namespace {

using core::Value;

void rate_interval_case(const ReplayContext& c) {
  const Value::Array &k = c.input.at("k").as_array(), &n = c.input.at("n").as_array();
  std::vector<double> lower, upper;
  for (size_t i = 0; i < std::min(k.size(), n.size()); ++i) {
    const Interval found = rate_interval(k[i].as_int(), n[i].as_int(), c.number("alpha"));
    lower.push_back(found.lower);
    upper.push_back(found.upper);
  }
  c.agreement.numbers(lower, c.expect.at("lower"));
  c.agreement.numbers(upper, c.expect.at("upper"));
}

void escape_threshold_case(const ReplayContext& c) { c.agreement.optional(escape_threshold(c.list("pool")), c.expect.at("threshold")); }

void score_case(const ReplayContext& c) {
  std::vector<double> scored;
  for (double loss : c.list("loss")) scored.push_back(score(loss, c.number("cap")).value);
  c.agreement.numbers(scored, c.expect.at("scored"));
}

void improvement_case(const ReplayContext& c) {
  const Improvement found = improvement(c.list("control"), c.list("arm"));
  c.agreement.number(found.paired, c.expect.at("paired"));
  c.agreement.number(found.all_pairs, c.expect.at("all_pairs"));
}

void hodges_lehmann_case(const ReplayContext& c) { c.agreement.number(hodges_lehmann(c.list("d")), c.expect.at("estimate")); }

void sign_flip_case(const ReplayContext& c) {
  const SignFlip found = sign_flip(c.list("d"));
  c.agreement.probability(found.p_two_sided, c.expect.at("p_two_sided"));
  c.agreement.probability(found.p_greater, c.expect.at("p_greater"));
}

void t_test(const ReplayContext& c) {
  const std::vector<double> d = c.list("d");
  const PairedSummary found = paired_t(d, c.number("level"));
  const auto [low, high] = std::minmax_element(d.begin(), d.end());
  c.agreement.number(found.t, c.expect.at("t"));
  c.agreement.probability(found.p_two_sided, c.expect.at("p_two_sided"));
  c.agreement.probability(found.p_greater, c.expect.at("p_greater"));
  c.agreement.end(found.lower, c.expect.at("lower"), *high - *low);
  c.agreement.end(found.upper, c.expect.at("upper"), *high - *low);
}

void wilcoxon(const ReplayContext& c) {
  const std::optional<double> p = wilcoxon_p(c.list("d"));
  c.agreement.equal(p.has_value());
  if (p) c.agreement.probability(*p, c.expect.at("p_two_sided"));
}

void pairing_case(const ReplayContext& c) {
  const Pairing found = pairing(c.list("control"), c.list("arm"));
  c.agreement.number(found.rho, c.expect.at("rho"));
  c.agreement.number(found.sd_difference, c.expect.at("sd_difference"));
  c.agreement.number(found.seeds_ratio, c.expect.at("seeds_ratio"));
}

void sd_upper(const ReplayContext& c) {
  c.agreement.number(sd_upper_limit(c.number("sd"), c.integer("n"), c.number("level")), c.expect.at("upper"));
}

void variance_components_case(const ReplayContext& c) {
  std::vector<std::vector<double>> table;
  for (const Value& row : c.input.at("differences").as_array()) {
    table.emplace_back();
    for (const Value& v : row.as_array()) table.back().push_back(v.as_double());
  }
  const VarianceComponents found = variance_components(table);
  c.agreement.number(found.seed, c.expect.at("seed"));
  c.agreement.number(found.document, c.expect.at("document"));
  c.agreement.number(found.residual, c.expect.at("residual"));
  c.agreement.number(found.variance_of_mean, c.expect.at("variance_of_mean"));
}

constexpr std::pair<std::string_view, Replay> kReplays[] = {
    {"rate_interval", rate_interval_case},
    {"escape_threshold", escape_threshold_case},
    {"score", score_case},
    {"improvement", improvement_case},
    {"hodges_lehmann", hodges_lehmann_case},
    {"sign_flip", sign_flip_case},
    {"t_test", t_test},
    {"wilcoxon", wilcoxon},
    {"pairing", pairing_case},
    {"sd_upper", sd_upper},
    {"variance_components", variance_components_case},
};

}  // namespace

Replay companion_replay(std::string_view kind) {
  for (const auto& [name, replay] : kReplays)
    if (name == kind) return replay;
  return nullptr;
}

}  // namespace assay::stats
