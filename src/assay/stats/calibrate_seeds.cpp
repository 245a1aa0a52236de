#include <boost/math/distributions/non_central_t.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <map>
#include <string>

#include "assay/stats/calibrate.h"
#include "assay/stats/decision.h"
#include "assay/stats/parallel.h"

namespace assay::stats {
namespace {

constexpr int64_t kNoMaximum = 1'000'000, kPowerAt = 30;

// Power of the two-sided paired t test with n pairs for an effect in sd of a difference.
double t_power(int64_t n, double effect, double alpha) {
  const double freedom = static_cast<double>(n - 1);
  const double critical = boost::math::quantile(boost::math::complement(boost::math::students_t(freedom), alpha / 2));
  const boost::math::non_central_t statistic(freedom, effect * std::sqrt(static_cast<double>(n)));
  return boost::math::cdf(boost::math::complement(statistic, critical)) + boost::math::cdf(statistic, -critical);
}

int64_t fixed_n(double effect) {
  int64_t n = 2;
  while (t_power(n, effect, 0.05) < 0.8) ++n;
  return n;
}

struct SeedCounts {
  std::map<int64_t, int64_t> seeds;
  SeedCounts& operator+=(const SeedCounts& o) {
    for (const auto& [n, count] : o.seeds) seeds[n] += count;
    return *this;
  }
};

Design design_of(int64_t hypotheses) {
  Design design;
  for (int64_t a = 0; a < hypotheses; ++a) design.hypotheses.push_back({"arm" + std::to_string(a), "control"});
  design.max_seeds = kNoMaximum;
  return design;
}

// Until the first arm, the real one, has its verdict. Arms share the control: the differences of two have correlation 1/2.
int64_t seeds_of(double effect, const Design& design, Draws draws) {
  Decision decision(design);
  const double scale = std::sqrt(0.5);
  while (decision.running(0)) {
    const double control = scale * draws.normal();
    std::vector<Scores> round;
    for (int64_t a = 0; a < design.m(); ++a) round.push_back({control, scale * draws.normal() - (a == 0 ? effect : 0)});
    decision.feed(round);
  }
  return decision.seeds(0);
}

double seeds_of_share(const SeedCounts& counts, int64_t campaigns, double share) {
  int64_t so_far = 0;
  for (const auto& [n, count] : counts.seeds) {
    so_far += count;
    if (static_cast<double>(so_far) >= share * static_cast<double>(campaigns)) return static_cast<double>(n);
  }
  return 0;
}

}  // namespace

SeedsToVerdict seeds_to_verdict(double effect, int64_t hypotheses, const CalibrationOptions& options) {
  const Design design = design_of(hypotheses);
  const std::string name = "calibrate/seeds/" + std::to_string(effect) + "/" + std::to_string(hypotheses);
  const auto counts = sum_in_parallel<SeedCounts>(options.campaigns, options.threads, [&](int64_t i, SeedCounts& tally) {
    ++tally.seeds[seeds_of(effect, design, Draws(options.seed, name, i))];
  });
  SeedsToVerdict row{effect, hypotheses, options.campaigns};
  const double total = static_cast<double>(options.campaigns);
  double squares = 0;
  for (const auto& [n, count] : counts.seeds) {
    row.mean += static_cast<double>(n * count) / total;
    squares += static_cast<double>(n * n * count) / total;
    if (n <= kPowerAt) row.power += static_cast<double>(count) / total;
  }
  row.standard_error = std::sqrt((squares - row.mean * row.mean) / total);
  row.median = seeds_of_share(counts, options.campaigns, 0.5);
  row.high = seeds_of_share(counts, options.campaigns, 0.9);
  row.n_fix = fixed_n(effect);
  row.ratio = row.mean / static_cast<double>(row.n_fix);
  if (hypotheses == 1 && effect == 1) {
    row.wanted = 13.1;
    row.allowance = 0.5;
  } else if (hypotheses == 1 && effect == 2) {
    row.wanted = 6.97;
    row.allowance = 0.15;
  }
  row.pass = row.allowance == 0 || std::abs(row.mean - row.wanted) <= row.allowance;
  return row;
}

}  // namespace assay::stats
