#include <cstdio>

#include "assay/cli/command_line.h"
#include "assay/cli/commands.h"
#include "assay/core/error.h"
#include "assay/lab/cost.h"
#include "assay/results/run_directory.h"

namespace assay::cli {
namespace {

void print(const core::Value& v) {
  std::printf("%lld hypotheses, at most %lld seeds; sd of a paired difference %.4g, planned with %.4g (%s)\n",
              static_cast<long long>(v.at("hypotheses").as_int()), static_cast<long long>(v.at("max_seeds").as_int()),
              v.at("sd").as_double(), v.at("sd_planned").as_double(), v.at("sd_source").as_string().c_str());
  for (const core::Value& r : v.at("rows").as_array()) {
    std::printf("  effect %.4g (%.2f sd): found with probability %.2f, after %.1f seeds on average (median %.0f, 90 %% %.0f)",
                r.at("effect").as_double(), r.at("effect_over_sd").as_double(), r.at("power").as_double(), r.at("mean_seeds").as_double(),
                r.at("median_seeds").as_double(), r.at("high_seeds").as_double());
    if (!r.at("hours").is_null()) std::printf(", %.3g hours", r.at("hours").as_double());
    std::printf("\n");
  }
  if (v.at("smallest_effect").is_null()) std::printf("  so few seeds find no effect with probability 0.8\n");
  else std::printf("  smallest effect that is found with probability 0.8: %.4g\n", v.at("smallest_effect").as_double());
}

}  // namespace

int run_plan(const std::vector<std::string>& args) {
  CommandLine line("plan", "Seeds and hours that a campaign will take, before spending them: by simulation, from the noise of pilots.");
  std::string recipe;
  lab::PlanRequest request;
  double sd = 0, effect = 0, seconds = 0;
  request.jobs = results::usable_cores();
  line.positional("RECIPE.toml", recipe, "what is to be compared");
  line.option("--pilot", request.pilot, "directory of a campaign with like arms: noise and seconds of a run come from it");
  line.option("--sd", sd, "standard deviation of a paired difference, in units of the metric");
  line.option("--effect", effect, "the effect to plan for; default: 0.5, 1, 1.5 and 2 standard deviations");
  line.option("--seconds", seconds, "of a run");
  line.option("--jobs", request.jobs, "runs at a time");
  if (!line.parse(args)) return 0;
  if (request.jobs < 1) throw core::ConfigError("plan", "--jobs must be at least 1, got " + std::to_string(request.jobs));
  if (line.given("--sd")) request.sd = sd;
  if (line.given("--effect")) request.effect = effect;
  if (line.given("--seconds")) request.seconds = seconds;
  const core::Value v = lab::plan_cost(lab::read_recipe(recipe), request);
  if (line.json) std::printf("%s\n", core::to_json(v, 2).c_str());
  else print(v);
  return 0;
}

}  // namespace assay::cli
