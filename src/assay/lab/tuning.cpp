#include "assay/lab/tuning.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "assay/lab/rows.h"
#include "assay/stats/metric.h"

namespace assay::lab {
namespace {

using core::Value;

// The values of combination k; the last grid varies fastest.
Value combination(const std::vector<Grid>& grids, size_t k) {
  Value out = Value::object();
  for (size_t g = grids.size(); g-- > 0;) {
    const double x = grids[g].values[k % grids[g].values.size()];
    out[grids[g].option] = x == std::floor(x) && std::abs(x) < 1e15 ? Value(static_cast<int64_t>(x)) : Value(x);
    k /= grids[g].values.size();
  }
  return out;
}

size_t combinations(const std::vector<Grid>& grids) {
  size_t n = grids.empty() ? 0 : 1;
  for (const Grid& g : grids) n *= g.values.size();
  return n;
}

Trial trial_of(const Recipe& recipe, size_t arm, size_t k, const std::string& directory) {
  const Arm& a = recipe.arms[arm];
  Trial t{arm, combination(a.grids, k), std::make_unique<Arm>(a), {}};
  for (const auto& [option, value] : t.values.as_object()) t.configured->options[option] = value;
  for (const int64_t seed : recipe.tune.seeds) {
    const std::string name = a.name + "-t" + std::to_string(k + 1) + "-s" + std::to_string(seed);
    t.members.push_back({t.configured.get(), seed, name, directory + "/tune/" + name});
  }
  return t;
}

// The scores of a trial's members; `waiting` and `missing` count those without one.
struct Scored {
  std::vector<double> scores;
  int64_t waiting = 0, missing = 0;
  double mean() const {
    double sum = 0;
    for (const double s : scores) sum += s;
    return sum / static_cast<double>(scores.size());
  }
};

Scored scored(const Recipe& recipe, const Trial& trial, double cap) {
  Scored out;
  for (const Member& m : trial.members) {
    const Score s = score_of(row_of(m, recipe.metric), recipe.metric);
    if (s.kind == Score::Kind::scored) out.scores.push_back(std::isfinite(s.value) ? std::min(s.value, cap) : cap);
    else ++(s.kind == Score::Kind::waiting ? out.waiting : out.missing);
  }
  return out;
}

// In units of the metric.
Value document_of(const Trial& trial, const Scored& scored, const stats::Metric& metric) {
  Value v = Value::object();
  v["values"] = trial.values;
  v["scores"] = Value::array();
  for (const double s : scored.scores) v["scores"].push_back(metric.score(s));
  v["mean"] = scored.scores.empty() ? Value() : Value(metric.score(scored.mean()));
  return v;
}

std::string edge_of(const Arm& arm, const Value& chosen) {
  for (const Grid& g : arm.grids) {
    const double x = chosen.at(g.option).as_double();
    if (x != g.values.front() && x != g.values.back()) continue;
    return "tuned at the edge of its grid: " + g.option + " = " + core::to_json(chosen.at(g.option)) + " is the " +
           (x == g.values.front() ? "smallest" : "largest") + " of its values";
  }
  return "";
}

}  // namespace

std::vector<Trial> trials_of(const Recipe& recipe, const std::string& directory) {
  std::vector<Trial> out;
  if (recipe.tune.seeds.empty()) return out;
  for (size_t a = 0; a < recipe.arms.size(); ++a)
    for (size_t k = 0; k < combinations(recipe.arms[a].grids); ++k) out.push_back(trial_of(recipe, a, k, directory));
  return out;
}

Pinned pinned_of_trials(const Recipe& recipe, const Pinned& pinned) {
  Pinned out = pinned;
  if (recipe.tune.tokens == 0) return out;
  out.tokens = recipe.tune.tokens;
  out.seconds = 0;
  for (auto& [name, set] : out.set.as_object()) set.erase("train.tokens");
  return out;
}

std::vector<Tuned> read_tuning(const Recipe& recipe, const std::vector<Trial>& trials, const Pinned& pinned) {
  std::vector<Tuned> out(recipe.arms.size());
  const std::optional<double> known = cap_of(recipe, pinned);
  std::vector<double> best(recipe.arms.size(), std::numeric_limits<double>::infinity());
  std::vector<int64_t> waiting(recipe.arms.size()), missing(recipe.arms.size());
  for (const Trial& t : trials) {
    const Scored s = scored(recipe, t, known.value_or(std::numeric_limits<double>::max()));
    waiting[t.arm] += s.waiting;
    missing[t.arm] += s.missing;
    out[t.arm].trials.push_back(document_of(t, s, stats::metric_named(recipe.metric)));
    if (s.waiting + s.missing > 0 || !(s.mean() < best[t.arm])) continue;
    best[t.arm] = s.mean();
    out[t.arm].chosen = t.values;
  }
  for (size_t a = 0; a < out.size(); ++a) {
    out[a].complete = waiting[a] == 0;
    if (!out[a].complete) out[a].chosen = Value::object();
    else if (missing[a] > 0) out[a].refusal = std::to_string(missing[a]) + " of the trainings that were to tune it failed";
    else if (out[a].chosen.size() > 0) out[a].refusal = edge_of(recipe.arms[a], out[a].chosen);
  }
  return out;
}

void set_chosen(const Recipe& recipe, const std::vector<Tuned>& tuned, Pinned& pinned) {
  for (size_t a = 0; a < tuned.size(); ++a)
    for (const auto& [option, value] : tuned[a].chosen.as_object()) pinned.set[recipe.arms[a].name][option] = value;
}

}  // namespace assay::lab
