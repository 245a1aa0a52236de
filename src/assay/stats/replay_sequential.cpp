#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <span>
#include <string>

#include "assay/core/error.h"
#include "assay/stats/decision.h"
#include "assay/stats/equivalence.h"
#include "assay/stats/escape.h"
#include "assay/stats/mixture_t.h"
#include "assay/stats/multiplicity.h"
#include "assay/stats/replay_cases.h"
#include "assay/stats/sign_flips.h"
#include "assay/stats/sign_interval.h"

namespace assay::stats {
namespace {

using core::Value;

// Columns of a path of e-values.
struct Path {
  std::vector<double> plus, minus, two_sided;
  void add(const LogE& e) {
    plus.push_back(e.plus);
    minus.push_back(e.minus);
    two_sided.push_back(e.two_sided);
  }
  void compare(const ReplayContext& c) const {
    c.agreement.numbers(plus, c.expect.at("log_e_plus"));
    c.agreement.numbers(minus, c.expect.at("log_e_minus"));
    c.agreement.numbers(two_sided, c.expect.at("log_e"));
  }
};

double range_of(std::span<const double> d) {
  const auto [low, high] = std::minmax_element(d.begin(), d.end());
  return *high - *low;
}

void sign_path(const ReplayContext& c) {
  SignProcess process(c.kappa);
  Path path;
  std::vector<double> p;
  for (double d : c.list("d")) {
    process.add(d);
    path.add(process.log_e());
    p.push_back(process.p_anytime());
  }
  path.compare(c);
  c.agreement.probabilities(p, c.expect.at("p_anytime"));
}

// Ends after each prefix of d.
template <class Find>
void compare_intervals(const ReplayContext& c, const std::vector<double>& d, const std::vector<double>& lengths, const Find& find) {
  const Value::Array &lower = c.expect.at("lower").as_array(), &upper = c.expect.at("upper").as_array();
  c.agreement.equal(lower.size() == lengths.size() && upper.size() == lengths.size());
  for (size_t i = 0; i < std::min({lengths.size(), lower.size(), upper.size()}); ++i) {
    const auto prefix = std::span(d).first(std::min(d.size(), static_cast<size_t>(lengths[i])));
    const std::optional<Interval> found = find(prefix);
    c.agreement.equal(found.has_value());
    if (!found) continue;
    c.agreement.end(found->lower, lower[i], range_of(prefix));
    c.agreement.end(found->upper, upper[i], range_of(prefix));
  }
}

void sign_interval_case(const ReplayContext& c) {
  const double alpha = c.number("alpha");
  compare_intervals(c, c.list("d"), c.list("n"), [&](std::span<const double> d) { return sign_interval(d, alpha, c.kappa); });
}

void t_interval(const ReplayContext& c) {
  const double alpha = c.number("alpha"), g = c.number("g");
  const std::vector<double> d = c.list("d");
  std::vector<double> lengths;
  for (size_t n = 1; n <= d.size(); ++n) lengths.push_back(static_cast<double>(n));
  compare_intervals(c, d, lengths, [&](std::span<const double> part) { return std::optional(mixture_t_interval(part, alpha, g)); });
}

void t_path(const ReplayContext& c) {
  const std::vector<double> d = c.list("d");
  std::vector<double> log_e, p;
  double largest = 0;
  for (size_t n = 1; n <= d.size(); ++n) {
    log_e.push_back(mixture_t_log_e(std::span(d).first(n), c.number("g"), c.number("mean")));
    largest = std::max(largest, log_e.back());
    p.push_back(std::exp(-largest));
  }
  c.agreement.numbers(log_e, c.expect.at("log_e"));
  c.agreement.probabilities(p, c.expect.at("p_anytime"));
}

void e_bh_case(const ReplayContext& c) {
  std::vector<int64_t> rejected;
  for (size_t i : e_bh(c.list("log_e"), c.number("alpha"), c.integer("m"))) rejected.push_back(static_cast<int64_t>(i));
  c.agreement.integers(rejected, c.expect.at("rejected"));
}

void holm(const ReplayContext& c) {
  const std::vector<double> adjusted = holm_adjusted(c.list("p"));
  std::vector<int64_t> rejected;
  for (size_t i = 0; i < adjusted.size(); ++i)
    if (adjusted[i] <= c.number("alpha")) rejected.push_back(static_cast<int64_t>(i));
  c.agreement.probabilities(adjusted, c.expect.at("adjusted"));
  c.agreement.integers(rejected, c.expect.at("rejected"));
}

void equivalence(const ReplayContext& c) {
  EquivalenceProcess process(c.number("margin"), c.kappa);
  std::vector<double> above, below, both;
  std::optional<double> first;
  for (double d : c.list("d")) {
    process.add(d);
    above.push_back(process.log_e_not_above());
    below.push_back(process.log_e_not_below());
    both.push_back(process.log_e());
    if (!first && both.size() >= 2 && !e_bh(std::span(both).last(1), c.number("alpha"), 1).empty())
      first = static_cast<double>(both.size());
  }
  c.agreement.numbers(above, c.expect.at("log_e_not_above"));
  c.agreement.numbers(below, c.expect.at("log_e_not_below"));
  c.agreement.numbers(both, c.expect.at("log_e_equivalent"));
  const Value& wanted = c.expect.at("first_n");
  c.agreement.equal(first ? !wanted.is_null() && wanted.as_double() == *first : wanted.is_null());
}

void escape_path(const ReplayContext& c) {
  const std::vector<double> arm = c.list("arm"), control = c.list("control");
  const double threshold = c.number("threshold");
  SignProcess mean(c.kappa);
  Path path;
  std::vector<double> log_e_mean, log_e_averaged;
  int64_t arm_only = 0, control_only = 0;
  for (size_t i = 0; i < std::min(arm.size(), control.size()); ++i) {
    mean.add(control[i] - arm[i]);
    arm_only += arm[i] < threshold && !(control[i] < threshold);
    control_only += control[i] < threshold && !(arm[i] < threshold);
    const LogE escape = escape_log_e(arm_only, control_only);
    path.add(escape);
    log_e_mean.push_back(mean.log_e().two_sided);
    log_e_averaged.push_back(averaged(mean.log_e(), escape).two_sided);
  }
  path.compare(c);
  c.agreement.numbers(log_e_mean, c.expect.at("log_e_mean"));
  c.agreement.numbers(log_e_averaged, c.expect.at("log_e_averaged"));
}

void escape_counts(const ReplayContext& c) {
  const Value::Array &arm = c.input.at("arm_only").as_array(), &control = c.input.at("control_only").as_array();
  Path path;
  for (size_t i = 0; i < std::min(arm.size(), control.size()); ++i) path.add(escape_log_e(arm[i].as_int(), control[i].as_int()));
  path.compare(c);
}

void median_unbiased(const ReplayContext& c) {
  const std::vector<double> d = c.list("d"), boundary = c.list("log_threshold");
  const SignFlips flips({d, boundary, c.kappa});
  std::vector<double> p;
  for (double m : c.list("m")) p.push_back(flips.p(m));
  c.agreement.numbers(p, c.expect.at("p_at_m"));
  c.agreement.number(flips.estimate(), c.expect.at("estimate"));
}

std::optional<double> or_none(const Value& v) { return v.is_null() ? std::nullopt : std::optional(v.as_double()); }

// Rounds of a campaign: losses of the control and of every arm; a loss null diverged.
std::vector<std::vector<Scores>> rounds_of(const ReplayContext& c) {
  const std::vector<double> control = c.list("control");
  std::vector<std::vector<Scores>> rounds(control.size());
  for (const Value& arm : c.input.at("arms").as_array()) {
    const Value::Array& losses = arm.as_array();
    if (losses.size() != control.size()) throw core::DataError("statistics", "an arm has another number of losses than the control");
    for (size_t i = 0; i < control.size(); ++i)
      rounds[i].push_back({control[i], losses[i].is_null() ? std::numeric_limits<double>::quiet_NaN() : losses[i].as_double()});
  }
  return rounds;
}

void campaign(const ReplayContext& c) {
  Design design;
  design.alpha = c.number("alpha");
  design.max_seeds = c.integer("max_seeds");
  design.kappa = c.kappa;
  for (size_t a = 0; a < c.input.at("arms").size(); ++a) {
    Hypothesis h{"arm" + std::to_string(a), "control"};
    h.escape_threshold = or_none(c.input.at("escape_threshold"));
    h.cap = or_none(c.input.at("cap"));
    design.hypotheses.push_back(h);
  }
  Decision decision(design);
  for (const auto& round : rounds_of(c))
    if (decision.running()) decision.feed(round);
  std::vector<int64_t> seeds;
  std::vector<std::string> words;
  std::vector<double> log_e;
  for (int64_t h = 0; h < decision.design().m(); ++h) {
    seeds.push_back(decision.seeds(h));
    words.emplace_back(name_of(decision.word(h)));
    log_e.push_back(decision.log_e(h));
  }
  c.agreement.integers(seeds, c.expect.at("seeds"));
  c.agreement.words(words, c.expect.at("word"));
  c.agreement.numbers(log_e, c.expect.at("log_e"));
}

constexpr std::pair<std::string_view, Replay> kSequentialReplays[] = {
    {"sign_path", sign_path},
    {"sign_interval", sign_interval_case},
    {"t_path", t_path},
    {"t_interval", t_interval},
    {"e_bh", e_bh_case},
    {"holm", holm},
    {"equivalence", equivalence},
    {"escape_path", escape_path},
    {"escape_counts", escape_counts},
    {"campaign", campaign},
    {"median_unbiased", median_unbiased},
};

}  // namespace

Replay sequential_replay(std::string_view kind) {
  for (const auto& [name, replay] : kSequentialReplays)
    if (name == kind) return replay;
  return nullptr;
}

}  // namespace assay::stats
