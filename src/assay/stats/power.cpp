#include "assay/stats/power.h"

#include <cmath>
#include <map>
#include <string>

#include "assay/core/error.h"
#include "assay/core/random.h"
#include "assay/stats/equivalence.h"
#include "assay/stats/parallel.h"
#include "assay/stats/slack.h"

namespace assay::stats {
namespace {

constexpr double kLargestEffect = 64;

// Campaigns by the round in which they stopped, and how they did.
struct Tally {
  std::map<int64_t, int64_t> seeds;
  int64_t right = 0, wrong = 0, equivalent = 0;
  Tally& operator+=(const Tally& other) {
    for (const auto& [n, count] : other.seeds) seeds[n] += count;
    right += other.right;
    wrong += other.wrong;
    equivalent += other.equivalent;
    return *this;
  }
};

void require(const PowerQuestion& q) {
  if (q.campaigns < 1 || q.max_seeds < 1 || q.threads < 1)
    throw core::ConfigError("power", "campaigns " + std::to_string(q.campaigns) + ", max_seeds " + std::to_string(q.max_seeds) +
                                         ", threads " + std::to_string(q.threads) + "; wanted at least 1 of each");
}

void campaign(const PowerQuestion& q, double effect, int64_t index, Tally& tally) {
  const core::Stream noise(q.seed, "stats/power", static_cast<uint64_t>(index));
  SignSums sums(q.kappa);
  std::optional<EquivalenceProcess> equivalence;
  if (q.margin) equivalence.emplace(*q.margin, q.kappa);
  const double limit = q.log_threshold - kSlack;
  for (int64_t n = 1; n <= q.max_seeds; ++n) {
    const double d = effect + noise.normal(static_cast<uint64_t>(n));
    sums.add(d);
    if (equivalence) equivalence->add(d);
    if (n < q.first_look) continue;
    const LogE e = sums.log_e();
    const bool found = e.two_sided >= limit, same = !found && equivalence && equivalence->log_e() >= limit;
    if (found) ((e.plus >= e.minus) == (effect >= 0) ? tally.right : tally.wrong) += 1;
    tally.equivalent += same;
    if (!found && !same) continue;
    ++tally.seeds[n];
    return;
  }
  ++tally.seeds[q.max_seeds];
}

Tally simulate(const PowerQuestion& q, double effect) {
  return sum_in_parallel<Tally>(q.campaigns, q.threads, [&](int64_t i, Tally& tally) { campaign(q, effect, i, tally); });
}

// Smallest n by which at least the share of the campaigns had stopped.
double seeds_of_share(const Tally& tally, int64_t campaigns, double share) {
  int64_t so_far = 0;
  for (const auto& [n, count] : tally.seeds) {
    so_far += count;
    if (static_cast<double>(so_far) >= share * static_cast<double>(campaigns)) return static_cast<double>(n);
  }
  return 0;
}

}  // namespace

PowerQuestion power_question(const Design& design, const Hypothesis& hypothesis, double effect, double sd) {
  if (!(sd > 0 && std::isfinite(sd))) throw core::ConfigError("power", "sd is " + std::to_string(sd) + "; wanted a positive number");
  PowerQuestion q;
  q.effect = effect / sd;
  q.max_seeds = design.max_seeds;
  q.first_look = design.first_look;
  q.kappa = design.kappa;
  q.log_threshold = design.log_threshold();
  if (hypothesis.margin && !hypothesis.escape_threshold) q.margin = *hypothesis.margin / sd;
  // The averaged e-value without discordant rounds is (E_mean + 1) / 2.
  if (hypothesis.escape_threshold) q.log_threshold = std::log(2 * static_cast<double>(design.m()) / design.alpha - 1);
  return q;
}

Power simulate_power(const PowerQuestion& question) {
  require(question);
  const Tally tally = simulate(question, question.effect);
  const double n = static_cast<double>(question.campaigns);
  Power out;
  for (const auto& [seeds, count] : tally.seeds) out.mean_seeds += static_cast<double>(seeds * count) / n;
  out.median_seeds = seeds_of_share(tally, question.campaigns, 0.5);
  out.high_seeds = seeds_of_share(tally, question.campaigns, 0.9);
  out.power = static_cast<double>(tally.right) / n;
  out.wrong = static_cast<double>(tally.wrong) / n;
  out.equivalent = static_cast<double>(tally.equivalent) / n;
  out.undecided = static_cast<double>(question.campaigns - tally.right - tally.wrong - tally.equivalent) / n;
  out.campaigns = question.campaigns;
  return out;
}

std::optional<double> smallest_effect(const PowerQuestion& question, double power) {
  PowerQuestion q = question;
  q.margin.reset();
  require(q);
  const auto enough = [&](double effect) {
    return static_cast<double>(simulate(q, effect).right) >= power * static_cast<double>(q.campaigns);
  };
  double high = 0.5;
  while (!enough(high)) {
    high *= 2;
    if (high > kLargestEffect) return std::nullopt;
  }
  double low = high == 0.5 ? 0 : high / 2;
  for (int i = 0; i < 10; ++i) {
    const double middle = (low + high) / 2;
    (enough(middle) ? high : low) = middle;
  }
  return high;
}

}  // namespace assay::stats
