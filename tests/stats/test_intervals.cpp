#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "assay/core/error.h"
#include "assay/stats/mixture_t.h"
#include "assay/stats/paired.h"
#include "assay/stats/sign_interval.h"
#include "stats/help.h"

using namespace assay::stats;
using assay::core::ConfigError;
using assay::stats::test::normals;

namespace {

std::vector<double> moved(std::vector<double> d, double shift, double factor = 1) {
  for (double& v : d) v = factor * v + shift;
  return d;
}

template <class Bounded>
int64_t first_bounded(const Bounded& bounded) {
  int64_t n = 1;
  while (!bounded(normals(static_cast<size_t>(n), 5))) ++n;
  return n;
}

}  // namespace

TEST_CASE("the ends of a sign interval are where the e-value of the shifted differences crosses 1/alpha") {
  for (uint64_t seed = 0; seed < 6; ++seed) {
    const std::vector<double> d = normals(8 + seed * 4, seed, 0.5);
    const Interval i = sign_interval(d, 0.05).value();
    const double step = 1e-9, limit = -std::log(0.05);
    CHECK(sign_log_e(d, i.lower - step).two_sided >= limit);
    CHECK(sign_log_e(d, i.lower + step).two_sided < limit);
    CHECK(sign_log_e(d, i.upper - step).two_sided < limit);
    CHECK(sign_log_e(d, i.upper + step).two_sided >= limit);
    for (double far : {0.5, 1.0, 10.0, 1e6}) {
      CHECK(sign_log_e(d, i.lower - far).two_sided >= limit);
      CHECK(sign_log_e(d, i.upper + far).two_sided >= limit);
    }
  }
}

TEST_CASE("a sign interval excludes 0 exactly when the e-value reaches 1/alpha, on data where the set has no gap at 0") {
  int excluded = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    const std::vector<double> d = normals(10, seed, 1);
    const Interval i = sign_interval(d, 0.05).value();
    const bool rejects = sign_log_e(d, 0).two_sided >= -std::log(0.05);
    if (!rejects) CHECK((i.lower <= 0 && 0 <= i.upper));  // the hull holds the set
    if (i.lower > 0 || i.upper < 0) CHECK(rejects);
    excluded += rejects;
  }
  CHECK(excluded > 10);
  CHECK(excluded < 50);
}

TEST_CASE("a sign interval moves and scales with the differences and is mirrored with them") {
  const std::vector<double> d = normals(14, 9, 0.3);
  const Interval i = sign_interval(d, 0.05).value();
  const Interval other = sign_interval(moved(d, 7, 0.01), 0.05).value();
  CHECK(other.lower == doctest::Approx(7 + 0.01 * i.lower).epsilon(1e-9));
  CHECK(other.upper == doctest::Approx(7 + 0.01 * i.upper).epsilon(1e-9));
  const Interval mirrored = sign_interval(moved(d, 0, -1), 0.05).value();
  CHECK(mirrored.lower == doctest::Approx(-i.upper).epsilon(1e-9));
  CHECK(mirrored.upper == doctest::Approx(-i.lower).epsilon(1e-9));
}

TEST_CASE("a sign interval is unbounded up to 5, 7 and 10 differences at 5, 1.25 and 0.25 per cent") {
  const auto bounded_at = [](double alpha) {
    return [alpha](const std::vector<double>& d) { return sign_interval(d, alpha).value().bounded(); };
  };
  CHECK(first_bounded(bounded_at(0.05)) == 6);
  CHECK(first_bounded(bounded_at(0.0125)) == 8);
  CHECK(first_bounded(bounded_at(0.0025)) == 11);
  CHECK(!sign_interval(std::vector<double>{}, 0.05).value().bounded());
}

TEST_CASE("equal differences have the interval of that value once there are enough of them") {
  CHECK(!sign_interval(std::vector<double>(5, 0.25), 0.05).value().bounded());
  const Interval i = sign_interval(std::vector<double>(6, 0.25), 0.05).value();
  CHECK(i.lower == 0.25);
  CHECK(i.upper == 0.25);
}

TEST_CASE("where an interval has a value the differences are symmetric about some value") {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    std::vector<double> d = normals(20, seed);
    for (double& v : d) v = std::exp(2 * v);
    CHECK(symmetric_about_some_value(d, 0.05) == sign_interval(d, 0.05).has_value());
  }
}

TEST_CASE("intervals refuse levels outside (0, 1) and differences that are not finite") {
  const std::vector<double> d = normals(8, 1);
  for (double alpha : {0.0, 1.0, -1.0, std::nan("")}) {
    CHECK_THROWS_AS(sign_interval(d, alpha), ConfigError);
    CHECK_THROWS_AS(mixture_t_interval(d, alpha), ConfigError);
  }
  CHECK_THROWS_AS(sign_interval(std::vector<double>{1, std::nan("")}, 0.05), ConfigError);
  CHECK_THROWS_AS(mixture_t_log_e(std::vector<double>{1, std::nan("")}), ConfigError);
  CHECK_THROWS_AS(mixture_t_log_e(d, 0), ConfigError);
}

TEST_CASE("the ends of the Gaussian interval are the means that the mixture t rejects at 1/alpha") {
  const std::vector<double> d = normals(12, 3, 0.4);
  const Interval i = mixture_t_interval(d, 0.01, 0.5);
  CHECK(mixture_t_log_e(d, 0.5, i.lower) == doctest::Approx(-std::log(0.01)).epsilon(1e-10));
  CHECK(mixture_t_log_e(d, 0.5, i.upper) == doctest::Approx(-std::log(0.01)).epsilon(1e-10));
}

TEST_CASE("the Gaussian interval is first bounded at 5, 6 and 7 differences") {
  const auto bounded_at = [](double alpha) {
    return [alpha](const std::vector<double>& d) { return mixture_t_interval(d, alpha).bounded(); };
  };
  CHECK(first_bounded(bounded_at(0.05)) == 5);
  CHECK(first_bounded(bounded_at(0.0125)) == 6);
  CHECK(first_bounded(bounded_at(0.0025)) == 7);
}

// Numerical integration of the Gaussian likelihood over the standardised effect and log sigma, against the closed form.
TEST_CASE("the mixture t is the ratio of likelihoods integrated over effect and scale") {
  const std::vector<double> d = {0.4, 1.1, -0.2, 0.9};
  const double g = 0.7, n = 4;
  const auto likelihood = [&](double mean, double sigma) {
    double squares = 0;
    for (double v : d) squares += (v - mean) * (v - mean);
    return std::exp(-squares / (2 * sigma * sigma)) / std::pow(sigma, n);
  };
  double alternative = 0, null = 0;
  for (double log_sigma = -5; log_sigma < 12; log_sigma += 0.02) {
    const double sigma = std::exp(log_sigma);
    null += likelihood(0, sigma);
    for (double effect = -9; effect <= 9; effect += 0.02)
      alternative += 0.02 * std::sqrt(g / (2 * M_PI)) * std::exp(-g * effect * effect / 2) * likelihood(effect * sigma, sigma);
  }
  CHECK(mixture_t_log_e(d, g) == doctest::Approx(std::log(alternative / null)).epsilon(1e-6));
}

TEST_CASE("the mixture t of one difference says nothing, and that of equal ones all that n allows") {
  CHECK(mixture_t_log_e(std::vector<double>{3}) == 0);
  CHECK(mixture_t_log_e(std::vector<double>(4, 0.0)) == 0);
  CHECK(mixture_t_log_e(std::vector<double>(4, 0.1), 1) == doctest::Approx(1.5 * std::log(5)).epsilon(1e-14));
  CHECK(mixture_t_log_e(std::vector<double>(4, 0.1), 1, 0.1) == 0);
}
