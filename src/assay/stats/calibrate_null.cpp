#include <array>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>

#include "assay/stats/calibrate.h"
#include "assay/stats/decision.h"
#include "assay/stats/mixture_t.h"
#include "assay/stats/paired.h"
#include "assay/stats/parallel.h"

namespace assay::stats {
namespace {

constexpr int64_t kNullRounds = 30;
constexpr std::array<double, 2> kAlphas = {0.05, 0.01};

struct NullCounts {
  int64_t found = 0, right = 0, miss_at_stop = 0, miss_ever = 0, mixture_t = 0, repeated_t = 0;
  NullCounts& operator+=(const NullCounts& o) {
    found += o.found;
    right += o.right;
    miss_at_stop += o.miss_at_stop;
    miss_ever += o.miss_ever;
    mixture_t += o.mixture_t;
    repeated_t += o.repeated_t;
    return *this;
  }
};

struct BothCounts {
  std::array<NullCounts, kAlphas.size()> at;
  BothCounts& operator+=(const BothCounts& o) {
    for (size_t i = 0; i < at.size(); ++i) at[i] += o.at[i];
    return *this;
  }
};

Design design_of(const NoiseShape& shape, double alpha) {
  Design design;
  Hypothesis h{"arm", "control"};
  h.escape_threshold = shape.escape_threshold;
  h.cap = shape.cap;
  design.hypotheses = {h};
  design.alpha = alpha;
  design.max_seeds = kNullRounds;
  return design;
}

std::vector<Scores> draw_rounds(const NoiseShape& shape, double effect, int64_t campaign, uint64_t seed) {
  Draws draws(seed, std::string("calibrate/") + shape.name, campaign);
  std::vector<Scores> rounds;
  for (int64_t i = 0; i < kNullRounds; ++i) {
    rounds.push_back(shape.round(draws, i));
    rounds.back().arm -= effect;
  }
  return rounds;
}

std::vector<double> differences(const std::vector<Scores>& rounds, std::optional<double> cap) {
  std::vector<double> d;
  for (const Scores& s : rounds) d.push_back(score(s.control, cap).value - score(s.arm, cap).value);
  return d;
}

// Feeds the rounds to a decision until it ends, and compares its verdict and S_n with the true effect.
void judge(const Design& design, const std::vector<Scores>& rounds, const std::vector<double>& d, double truth, NullCounts& counts) {
  Decision decision(design);
  for (const Scores& s : rounds)
    if (decision.running()) decision.feed(std::array{s});
  const Word word = decision.word(0);
  counts.found += word == Word::better || word == Word::worse;
  counts.right += word == (truth > 0 ? Word::better : Word::worse);
  const double limit = -std::log(design.alpha);
  SignProcess shifted(design.kappa);
  bool missed = false;
  for (int64_t n = 1; n <= kNullRounds; ++n) {
    shifted.add(d[static_cast<size_t>(n - 1)] - truth);
    const bool miss = shifted.log_e().two_sided >= limit;
    missed = missed || miss;
    counts.miss_at_stop += miss && n == decision.seeds(0);
  }
  counts.miss_ever += missed;
}

// |t| at which Student's two-sided test rejects at alpha with n pairs.
double critical_t(int64_t n, double alpha) {
  return boost::math::quantile(boost::math::complement(boost::math::students_t(static_cast<double>(n - 1)), alpha / 2));
}

using CriticalValues = std::array<std::array<double, kNullRounds + 1>, kAlphas.size()>;

CriticalValues critical_values() {
  CriticalValues out{};
  for (size_t a = 0; a < kAlphas.size(); ++a)
    for (int64_t n = 2; n <= kNullRounds; ++n) out[a][static_cast<size_t>(n)] = critical_t(n, kAlphas[a]);
  return out;
}

// What the Gaussian companion and a t test say when they are looked at in every round.
void look_with_t(const std::vector<double>& d, const CriticalValues& critical, BothCounts& counts) {
  double largest_log_e = 0;
  std::array<bool, kAlphas.size()> rejected{};
  for (size_t n = 2; n <= d.size(); ++n) {
    const auto so_far = std::span(d).first(n);
    largest_log_e = std::max(largest_log_e, mixture_t_log_e(so_far));
    const MeanSd m = mean_sd(so_far);
    const double t = m.mean == 0 ? 0 : std::abs(m.mean) / (m.sd / std::sqrt(static_cast<double>(n)));
    for (size_t a = 0; a < kAlphas.size(); ++a) rejected[a] = rejected[a] || t >= critical[a][n];
  }
  for (size_t a = 0; a < kAlphas.size(); ++a) {
    counts.at[a].mixture_t += largest_log_e >= -std::log(kAlphas[a]);
    counts.at[a].repeated_t += rejected[a];
  }
}

double share(int64_t count, int64_t campaigns) { return static_cast<double>(count) / static_cast<double>(campaigns); }

}  // namespace

std::vector<NullRate> null_rates(const NoiseShape& shape, bool asserted, const CalibrationOptions& options) {
  const CriticalValues critical = critical_values();
  const auto counts = sum_in_parallel<BothCounts>(options.campaigns, options.threads, [&](int64_t i, BothCounts& tally) {
    const std::vector<Scores> rounds = draw_rounds(shape, 0, i, options.seed);
    const std::vector<double> d = differences(rounds, shape.cap);
    for (size_t a = 0; a < kAlphas.size(); ++a) judge(design_of(shape, kAlphas[a]), rounds, d, 0, tally.at[a]);
    look_with_t(d, critical, tally);
  });
  std::vector<NullRate> rows;
  for (size_t a = 0; a < kAlphas.size(); ++a) {
    const NullCounts& c = counts.at[a];
    NullRate row{shape.name, kAlphas[a], options.campaigns, share(c.found, options.campaigns)};
    row.limit = rate_limit(row.stated_rate, options.campaigns);
    row.miss_at_stop = share(c.miss_at_stop, options.campaigns);
    row.miss_ever = share(c.miss_ever, options.campaigns);
    row.mixture_t = share(c.mixture_t, options.campaigns);
    row.repeated_t = share(c.repeated_t, options.campaigns);
    row.asserted = asserted;
    row.pass = !asserted || (row.false_rate <= row.limit && row.miss_at_stop <= row.limit && row.miss_ever <= row.limit);
    if (row.noise == "Gaussian") row.pass = row.pass && row.mixture_t <= row.limit;
    rows.push_back(row);
  }
  return rows;
}

Coverage coverage(const NoiseShape& shape, double effect, bool asserted, const CalibrationOptions& options) {
  const double truth = effect * shape.sd;
  const Design design = design_of(shape, kAlphas[0]);
  const auto c = sum_in_parallel<NullCounts>(options.campaigns, options.threads, [&](int64_t i, NullCounts& tally) {
    const std::vector<Scores> rounds = draw_rounds(shape, truth, i, options.seed);
    judge(design, rounds, differences(rounds, shape.cap), truth, tally);
  });
  Coverage row{shape.name, effect, 1 - design.alpha, options.campaigns};
  row.at_stop = 1 - share(c.miss_at_stop, options.campaigns);
  row.always = 1 - share(c.miss_ever, options.campaigns);
  row.limit = 1 - rate_limit(design.alpha, options.campaigns);
  row.asserted = asserted;
  row.pass = !asserted || (row.at_stop >= row.limit && row.always >= row.limit);
  row.found = effect == 0 ? share(c.found, options.campaigns) : share(c.right, options.campaigns);
  return row;
}

}  // namespace assay::stats
