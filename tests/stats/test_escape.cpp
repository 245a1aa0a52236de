#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "assay/core/error.h"
#include "assay/stats/equivalence.h"
#include "assay/stats/escape.h"
#include "stats/help.h"

using namespace assay::stats;
using assay::core::ConfigError;
using assay::stats::test::normals;

TEST_CASE("the exact test of discordant rounds is the binomial one") {
  CHECK(discordant_p(0, 0) == 1);
  CHECK(discordant_p(3, 3) == 1);
  CHECK(discordant_p(2, 0) == doctest::Approx(0.5));
  CHECK(discordant_p(0, 6) == doctest::Approx(2.0 / 64));
  CHECK(discordant_p(8, 1) == doctest::Approx(2.0 * (1 + 9) / 512));
  CHECK(discordant_p(1, 8) == discordant_p(8, 1));
  CHECK_THROWS_AS(discordant_p(-1, 2), assay::core::ConfigError);
}

TEST_CASE("seven discordant rounds of one side reach 20 and nine reach 80") {
  CHECK(std::exp(escape_log_e(6, 0).two_sided) < 20);
  CHECK(std::exp(escape_log_e(7, 0).two_sided) == doctest::Approx(26.8).epsilon(0.002));
  CHECK(std::exp(escape_log_e(0, 9).two_sided) == doctest::Approx(95).epsilon(0.005));
}

TEST_CASE("the escape e-values have mean 1 over all fair coins, and the two-sided one is the mean of the others") {
  const int n = 9;
  double plus = 0, minus = 0, both = 0, choose = 1;
  for (int a = 0; a <= n; ++a) {
    const LogE e = escape_log_e(a, n - a);
    plus += choose * std::exp(e.plus) / 512;
    minus += choose * std::exp(e.minus) / 512;
    both += choose * std::exp(e.two_sided) / 512;
    CHECK(std::exp(e.two_sided) == doctest::Approx((std::exp(e.plus) + std::exp(e.minus)) / 2).epsilon(1e-12));
    choose = choose * (n - a) / (a + 1);
  }
  CHECK(plus == doctest::Approx(1).epsilon(1e-12));
  CHECK(minus == doctest::Approx(1).epsilon(1e-12));
  CHECK(both == doctest::Approx(1).epsilon(1e-12));
}

TEST_CASE("the evidence that arms escape more often stays finite or minus infinity for very many rounds") {
  const LogE e = escape_log_e(5000, 0);
  CHECK(e.plus == doctest::Approx(e.two_sided + std::log(2)).epsilon(1e-12));
  CHECK(e.minus < -1);
  CHECK(!std::isnan(e.minus));
  CHECK(std::isfinite(averaged({}, e).minus));
  CHECK_THROWS_AS(escape_log_e(-1, 0), ConfigError);
}

TEST_CASE("the averaged e-value first reaches 20 at seven rounds of equal differences, all discordant") {
  const auto at = [](int64_t n) {
    return std::exp(averaged(sign_log_e(std::vector<double>(static_cast<size_t>(n), 1.0), 0), escape_log_e(n, 0)).two_sided);
  };
  CHECK(at(6) < 20);
  CHECK(at(7) >= 20);
  CHECK(std::exp(averaged({0, 0, largest_log_e(6)}, escape_log_e(6, 0)).two_sided) >= 20);
  CHECK(std::exp(averaged({0, 0, largest_log_e(5)}, escape_log_e(5, 0)).two_sided) < 20);
}

TEST_CASE("a loss that is not finite scores the cap and counts as diverged, others score at most the cap") {
  for (double loss : {std::nan(""), std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()}) {
    CHECK(score(loss, 10.8).value == 10.8);
    CHECK(score(loss, 10.8).diverged);
    CHECK(score(loss, std::nullopt).diverged);
  }
  CHECK(score(12, 10.8).value == 10.8);
  CHECK(!score(12, 10.8).diverged);
  CHECK(score(12, std::nullopt).value == 12);
}

TEST_CASE("a rate's interval holds the rate, is mirrored with it and reaches 0 and 1 where it must") {
  for (int64_t k = 0; k <= 12; ++k) {
    const Interval i = rate_interval(k, 12, 0.05), mirrored = rate_interval(12 - k, 12, 0.05);
    CHECK(i.lower <= k / 12.0);
    CHECK(i.upper >= k / 12.0);
    CHECK(i.lower == doctest::Approx(1 - mirrored.upper).epsilon(1e-9));
  }
  CHECK(rate_interval(0, 12, 0.05).lower == 0);
  CHECK(rate_interval(12, 12, 0.05).upper == 1);
  CHECK(rate_interval(0, 0, 0.05).lower == 0);
  CHECK(rate_interval(0, 0, 0.05).upper == 1);
  CHECK_THROWS_AS(rate_interval(3, 2, 0.05), ConfigError);
}

TEST_CASE("a threshold is proposed between two modes and nowhere else") {
  const std::vector<double> two = {7, 5.5, 7.01, 5.6, 7.02, 5.4, 6.99, 5.5};
  CHECK(escape_threshold(two).value() == doctest::Approx((5.6 + 6.99) / 2));
  CHECK(!escape_threshold(std::vector<double>(10, 3.0)));                             // no gap at all
  CHECK(!escape_threshold(std::vector<double>{5, 5, 5, 5, 5, 5, 5, 9}));              // one run alone is no mode
  CHECK(!escape_threshold(std::vector<double>{7, 5.5, 7.01, 5.6, 7.02, 5.4, 6.99}));  // seven runs
  CHECK(!escape_threshold(normals(40, 1)));
  CHECK(escape_threshold(std::vector<double>{1, 1, 2, 2, 3, 3, 3, 3}).value_or(0) == 0);  // gaps that are no larger than 3 sd
  CHECK_THROWS_AS(escape_threshold(std::vector<double>(9, std::nan(""))), ConfigError);
}

TEST_CASE("equivalence needs five rounds at least, and both sides") {
  EquivalenceProcess p(1);
  int64_t first = 0;
  for (int64_t n = 1; n <= 8; ++n) {
    p.add(0);
    if (first == 0 && p.log_e() >= std::log(20)) first = n;
    CHECK(p.log_e() == std::min(p.log_e_not_above(), p.log_e_not_below()));
  }
  CHECK(first == 5);
  EquivalenceProcess outside(0.1);
  for (int i = 0; i < 20; ++i) outside.add(1);
  CHECK(outside.log_e_not_below() > 3);
  CHECK(outside.log_e() < 0);
  for (double margin : {0.0, -1.0, std::nan(""), std::numeric_limits<double>::infinity()})
    CHECK_THROWS_AS(EquivalenceProcess{margin}, ConfigError);
}
