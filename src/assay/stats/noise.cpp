#include "assay/stats/noise.h"

#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>

#include "assay/core/error.h"

namespace assay::stats {
namespace {

constexpr double kEscaped = 5.7, kStuck = 7.03, kThreshold = 6.5;
constexpr double kLogVocabulary = 10.82490511970208;  // ln 50257

double t3(Draws& r) {
  double squares = 0;
  const double z = r.normal();
  for (int i = 0; i < 3; ++i) {
    const double v = r.normal();
    squares += v * v;
  }
  return z / std::sqrt(squares / 3);
}

double laplace(Draws& r) {
  const double size = -std::log(r.uniform());
  return r.chance(0.5) ? size : -size;
}

double sign(Draws& r) { return r.chance(0.5) ? 1 : -1; }

double two_mode(Draws& r) {
  const double s = sign(r);
  return s + 0.1 * r.normal();
}

double log_normal(Draws& r, double sigma) { return std::exp(sigma * r.normal()) - std::exp(sigma * sigma / 2); }

// A standard normal value that jumps by `size` with probability p, its mean taken off.
double jump(Draws& r, double size, double p) {
  const double z = r.normal();
  return z + (r.chance(p) ? size : 0) - size * p;
}

double plateau(Draws& r, double rate) {
  const bool escaped = r.chance(rate);
  return (escaped ? kEscaped : kStuck) + 0.1 * r.normal();
}

double plateau_or_divergence(Draws& r, double rate) { return r.chance(0.05) ? std::numeric_limits<double>::quiet_NaN() : plateau(r, rate); }

// The difference is the noise itself.
template <double (*draw)(Draws&)>
Scores difference(Draws& r, int64_t) {
  return {draw(r), 0};
}

template <int percent>
Scores two_plateaus(Draws& r, int64_t) {
  const double control = plateau(r, percent / 100.0);
  return {control, plateau(r, percent / 100.0)};
}

template <int percent>
Scores two_diverging(Draws& r, int64_t) {
  const double control = plateau_or_divergence(r, percent / 100.0);
  return {control, plateau_or_divergence(r, percent / 100.0)};
}

const double kInfinity = std::numeric_limits<double>::infinity();
const double kModeGap = kStuck - kEscaped;

double normal(Draws& r) { return r.normal(); }
double cauchy(Draws& r) { return std::tan(std::numbers::pi * (r.uniform() - 0.5)); }
double uniform(Draws& r) { return 2 * r.uniform() - 1; }

const std::array<NoiseShape, 11> kSymmetric = {{
    {"Gaussian", 1, difference<normal>},
    {"Student t, 3 df", std::numbers::sqrt3, difference<t3>},
    {"Laplace", std::numbers::sqrt2, difference<laplace>},
    {"Cauchy", kInfinity, difference<cauchy>},
    {"uniform", 1 / std::numbers::sqrt3, difference<uniform>},
    {"two-mode +-1", std::sqrt(1.01), difference<two_mode>},
    {"signs only", 1, difference<sign>},
    {"Normal, sd 1, 10, 1, 10, ...", std::sqrt(50.5), [](Draws& r, int64_t i) { return Scores{r.normal() * (i % 2 == 0 ? 1 : 10), 0}; }},
    {"Normal of random scale", std::exp(2.25),
     [](Draws& r, int64_t) {
       const double scale = std::exp(1.5 * r.normal());
       return Scores{scale * r.normal(), 0};
     }},
    {"two arms, two modes, 50 %", std::sqrt(2 * (kModeGap * kModeGap * 0.25 + 0.01)), two_plateaus<50>},
    {"two arms, two modes, 10 %", std::sqrt(2 * (kModeGap * kModeGap * 0.09 + 0.01)), two_plateaus<10>},
}};

const std::array<NoiseShape, 4> kTwoMode = {{
    {"two modes, escape 10 %, 5 % diverge", kInfinity, two_diverging<10>, kThreshold, kLogVocabulary},
    {"two modes, escape 30 %, 5 % diverge", kInfinity, two_diverging<30>, kThreshold, kLogVocabulary},
    {"two modes, escape 50 %, 5 % diverge", kInfinity, two_diverging<50>, kThreshold, kLogVocabulary},
    {"two modes, escape 80 %, 5 % diverge", kInfinity, two_diverging<80>, kThreshold, kLogVocabulary},
}};

const std::array<NoiseShape, 6> kSkewed = {{
    {"exponential, centred", 1, [](Draws& r, int64_t) { return Scores{-std::log(r.uniform()) - 1, 0}; }},
    {"lognormal(0, 0.5), centred", std::sqrt(std::expm1(0.25) * std::exp(0.25)),
     [](Draws& r, int64_t) { return Scores{log_normal(r, 0.5), 0}; }},
    {"lognormal(0, 1), centred", std::sqrt(std::expm1(1.0) * std::exp(1.0)), [](Draws& r, int64_t) { return Scores{log_normal(r, 1), 0}; }},
    {"Normal + 5 sd jump in 25 %, centred", std::sqrt(1 + 25 * 0.1875), [](Draws& r, int64_t) { return Scores{jump(r, 5, 0.25), 0}; }},
    {"Normal + 5 sd jump in 10 %, centred", std::sqrt(1 + 25 * 0.09), [](Draws& r, int64_t) { return Scores{jump(r, 5, 0.1), 0}; }},
    {"Normal + 20 sd jump in 10 %, centred", std::sqrt(1 + 400 * 0.09), [](Draws& r, int64_t) { return Scores{jump(r, 20, 0.1), 0}; }},
}};

const std::array<RunNoise, 3> kRuns = {{
    {"Gaussian", std::numbers::sqrt2, normal},
    {"Student t, 3 df", std::sqrt(6.0), t3},
    {"two-mode +-1", std::sqrt(2.02), two_mode},
}};

}  // namespace

std::span<const NoiseShape> symmetric_shapes() { return kSymmetric; }
std::span<const NoiseShape> two_mode_shapes() { return kTwoMode; }
std::span<const NoiseShape> skewed_shapes() { return kSkewed; }
std::span<const RunNoise> run_noises() { return kRuns; }

const NoiseShape& shape_named(std::string_view name) {
  for (const auto list : {symmetric_shapes(), skewed_shapes()})
    for (const NoiseShape& s : list)
      if (name == s.name) return s;
  throw core::ConfigError("calibrate", "no noise is called " + std::string(name));
}

}  // namespace assay::stats
