#pragma once
#include <optional>
#include <string>

#include "assay/core/value.h"
#include "assay/lab/recipe.h"

namespace assay::lab {

// What a campaign will cost, before anything is spent.
struct PlanRequest {
  std::string pilot;              // directory of an earlier campaign with like arms: noise and seconds of a run come from it
  std::optional<double> sd;       // of a paired difference, in units of the metric; instead of a pilot
  std::optional<double> effect;   // the effect to plan for; default: 0.5, 1, 1.5 and 2 standard deviations
  std::optional<double> seconds;  // of a run; instead of a pilot
  int64_t jobs = 1;               // runs at a time
};

// {hypotheses, max_seeds, log_threshold, fewest_seeds, sd, sd_planned (its upper 80 % limit where it was estimated), sd_source, seconds_per_run,
//  rows[]: {effect, effect_over_sd, mean_seeds, median_seeds, high_seeds, power, equivalent, hours}, smallest_effect (power .8)}, by
// simulation (stats/power.h). hours = seeds x (arms + control) x seconds / jobs: as if no arm stopped before the one that is planned for.
// ConfigError where neither a pilot nor an sd is given, or the pilot says nothing about noise.
core::Value plan_cost(const Recipe& recipe, const PlanRequest& request);

}  // namespace assay::lab
