#include "assay/lab/cost.h"

#include <algorithm>
#include <cmath>

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/lab/rule.h"
#include "assay/results/run_directory.h"
#include "assay/stats/planning.h"
#include "assay/stats/power.h"

namespace assay::lab {
namespace {

using core::Value;

constexpr uint64_t kResultsLimit = uint64_t{64} << 20;
constexpr double kPower = 0.8;

struct Noise {
  double sd = 0, planned = 0;
  std::string source;
  std::optional<double> seconds;
};

// The noisiest arm of the pilot, and the mean time of its runs.
Noise noise_of_pilot(const std::string& directory) {
  const std::string path = directory + "/results.json";
  const Value results = core::parse_json(core::read_file(path, kResultsLimit), path, {.bytes = kResultsLimit});
  Noise noise;
  double seconds = 0;
  int64_t runs = 0;
  for (const Value& arm : results.at("arms").as_array()) {
    const int64_t n = static_cast<int64_t>(arm.at("differences").size());
    seconds += arm.at("seconds").is_null() ? 0 : arm.at("seconds").as_double();
    runs += arm.at("n").as_int();
    const Value& sd = arm.at("sd_difference");
    if (n < 2 || sd.is_null() || sd.as_double() <= noise.sd) continue;
    noise.sd = sd.as_double();
    noise.planned = stats::sd_upper_limit(noise.sd, n);
    noise.source = arm.at("name").as_string() + " of " + directory + ", " + std::to_string(n) + " pairs";
  }
  if (noise.sd <= 0) throw core::ConfigError("plan", path + ": no arm has two pairs of seeds that differ; it says nothing about noise");
  if (runs > 0) noise.seconds = seconds / static_cast<double>(runs);
  return noise;
}

Noise noise_of(const PlanRequest& request) {
  if (!request.pilot.empty()) return noise_of_pilot(request.pilot);
  if (!request.sd) throw core::ConfigError("plan", "wanted --pilot DIR, a campaign whose noise is like this one's, or --sd X");
  if (!(*request.sd > 0)) throw core::ConfigError("plan", "--sd must be above 0, got " + std::to_string(*request.sd));
  return {*request.sd, *request.sd, "given", std::nullopt};
}

}  // namespace

Value plan_cost(const Recipe& recipe, const PlanRequest& request) {
  for (const auto& [option, value] : {std::pair{"--effect", request.effect}, {"--seconds", request.seconds}})
    if (value && !(*value > 0)) throw core::ConfigError("plan", std::string(option) + " must be above 0, got " + std::to_string(*value));
  Noise noise = noise_of(request);
  if (request.seconds) noise.seconds = request.seconds;
  const double m = static_cast<double>(std::max<size_t>(1, compared_arms(recipe).size()));
  stats::PowerQuestion question;
  question.max_seeds = static_cast<int64_t>(recipe.seeds.size());
  question.log_threshold = std::log(m / recipe.error_rate);
  question.threads = static_cast<int>(results::usable_cores());
  if (recipe.smallest_effect) question.margin = *recipe.smallest_effect / noise.planned;
  Value v = Value::object();
  v["hypotheses"] = static_cast<int64_t>(m);
  v["max_seeds"] = question.max_seeds;
  v["log_threshold"] = question.log_threshold;
  v["sd"] = noise.sd;
  v["sd_planned"] = noise.planned;
  v["sd_source"] = noise.source;
  v["seconds_per_run"] = noise.seconds ? Value(*noise.seconds) : Value();
  v["rows"] = Value::array();
  std::vector<double> effects = {0.5, 1, 1.5, 2};
  if (request.effect) effects = {*request.effect / noise.planned};
  for (const double effect : effects) {
    question.effect = effect;
    const stats::Power p = stats::simulate_power(question);
    Value row = Value::object();
    row["effect"] = effect * noise.planned;
    row["effect_over_sd"] = effect;
    row["mean_seeds"] = p.mean_seeds;
    row["median_seeds"] = p.median_seeds;
    row["high_seeds"] = p.high_seeds;
    row["power"] = p.power;
    row["equivalent"] = p.equivalent;
    row["hours"] = noise.seconds ? Value(p.mean_seeds * (m + 1) * *noise.seconds / static_cast<double>(request.jobs) / 3600) : Value();
    v["rows"].push_back(row);
  }
  const std::optional<double> smallest = stats::smallest_effect(question, kPower);
  v["smallest_effect"] = smallest ? Value(*smallest * noise.planned) : Value();
  return v;
}

}  // namespace assay::lab
