#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "assay/stats/design.h"

namespace assay::stats {

// What a comparison costs, by simulation: Gaussian differences with standard deviation 1, one arm that needs `log_threshold` by itself
// (log(m / alpha): as if no other arm is found, so with several arms the seeds are a little overstated). Effects and margins are in
// standard deviations of the difference; those come from pilots, whose sd is best taken at sd_upper_limit.
struct PowerQuestion {
  double effect = 1;
  int64_t max_seeds = 20;
  double log_threshold = 2.995732273553991;  // log 20
  int64_t first_look = 2;
  std::optional<double> margin;  // with one, equivalence ends a campaign as well
  std::vector<double> kappa = {kDefaultKappa.begin(), kDefaultKappa.end()};
  int64_t campaigns = 2000;
  uint64_t seed = 1;
  int threads = 1;
};
// The question of one hypothesis of a design whose differences have this standard deviation; effect in units of the score.
PowerQuestion power_question(const Design& design, const Hypothesis& hypothesis, double effect, double sd);

struct Power {
  double mean_seeds = 0, median_seeds = 0, high_seeds = 0;  // seeds until the stop; high: 90 % of campaigns need no more
  double power = 0;                                         // share that ends as better (worse for a negative effect)
  double wrong = 0;                                         // share that ends in the other direction
  double equivalent = 0, undecided = 0;
  int64_t campaigns = 0;
};
Power simulate_power(const PowerQuestion& question);  // ConfigError: campaigns, max_seeds or threads below 1

// The smallest effect (in standard deviations) that is found with this probability by max_seeds; question.effect and margin are not read.
// No value: max_seeds are too few for any effect. Relative precision 0.1 % beside the simulation's own.
std::optional<double> smallest_effect(const PowerQuestion& question, double power = 0.8);

}  // namespace assay::stats
