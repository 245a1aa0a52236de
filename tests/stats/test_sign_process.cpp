#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "assay/core/error.h"
#include "assay/stats/sign_process.h"
#include "stats/help.h"

using namespace assay::stats;
using assay::core::ConfigError;
using assay::stats::test::mean_over_signs;
using assay::stats::test::normals;

namespace {

const std::vector<double> kWide = {0.15, 0.3, 0.6, 1.2, 2.4, 4.8};

LogE after(const std::vector<double>& d) {
  SignProcess p;
  for (double v : d) p.add(v);
  return p.log_e();
}

std::vector<double> scaled(std::vector<double> d, double factor) {
  for (double& v : d) v *= factor;
  return d;
}

double equal(int64_t n, std::span<const double> kappa = kDefaultKappa) {
  return std::exp(sign_log_e(std::vector<double>(static_cast<size_t>(n), 1.0), 0, kappa).two_sided);
}
double most(int64_t n, std::span<const double> kappa = kDefaultKappa) { return std::exp(largest_log_e(n, kappa)); }

int64_t first(double limit, double (*value)(int64_t, std::span<const double>), std::span<const double> kappa = kDefaultKappa) {
  int64_t n = 1;
  while (value(n, kappa) < limit) ++n;
  return n;
}

}  // namespace

TEST_CASE("the e-process does not depend on the unit of the differences") {
  const std::vector<double> d = normals(25, 1, 0.4);
  for (double power : {0x1p-300, 0x1p-3, 0x1p200}) {  // exact scalings give the same bits
    CHECK(after(scaled(d, power)).plus == after(d).plus);
    CHECK(after(scaled(d, power)).two_sided == after(d).two_sided);
  }
  CHECK(after(scaled(d, 1e9 / 3)).minus == doctest::Approx(after(d).minus).epsilon(1e-12));
}

TEST_CASE("exchanging arm and control exchanges the two one-sided e-values, bit by bit") {
  const std::vector<double> d = normals(30, 2, 0.7);
  const LogE e = after(d), mirrored = after(scaled(d, -1));
  CHECK(e.plus == mirrored.minus);
  CHECK(e.minus == mirrored.plus);
  CHECK(e.two_sided == mirrored.two_sided);
}

TEST_CASE("the mean of each e-value over all sign vectors is 1, whatever the sizes of the differences") {
  for (const std::vector<double>& sizes : {std::vector<double>{1, 1, 1, 1, 1, 1, 1}, {3, 0.01, 2, 0, 500, 1e-7, 4, 4}, normals(10, 3)}) {
    CHECK(mean_over_signs(sizes, [](const LogE& e) { return e.two_sided; }) == doctest::Approx(1).epsilon(1e-12));
    CHECK(mean_over_signs(sizes, [](const LogE& e) { return e.plus; }) == doctest::Approx(1).epsilon(1e-12));
    CHECK(mean_over_signs(sizes, [](const LogE& e) { return e.minus; }) == doctest::Approx(1).epsilon(1e-12));
  }
}

TEST_CASE("zeros leave every quantity as it was") {
  SignProcess with, without;
  for (double d : {0.0, 0.5, -0.25, -0.0, 1.5, 0.0}) {
    with.add(d);
    if (d != 0) without.add(d);
  }
  CHECK(with.log_e().plus == without.log_e().plus);
  CHECK(with.p_anytime() == without.p_anytime());
  SignProcess nothing;
  nothing.add(0);
  CHECK(nothing.log_e().two_sided == 0);
  CHECK(nothing.p_anytime() == 1);
}

TEST_CASE("the anytime p-value is one over the largest e-value so far and never grows") {
  SignProcess p;
  double largest = 0, last = 1;
  for (double d : normals(40, 4, 0.6)) {
    p.add(d);
    largest = std::max(largest, p.log_e().two_sided);
    CHECK(p.p_anytime() == std::exp(-largest));
    CHECK(p.p_anytime() <= last);
    last = p.p_anytime();
  }
}

TEST_CASE("a difference that is not finite or out of range is refused, and so is a bad grid") {
  SignProcess p;
  for (double d : {std::numeric_limits<double>::infinity(), std::nan(""), 1e151, -1e151, 9e-151, 5e-324})
    CHECK_THROWS_AS(p.add(d), ConfigError);
  for (double d : {1e150, -1e-150, 1e150}) p.add(d);
  CHECK(std::isfinite(p.log_e().two_sided));
  for (const std::vector<double>& kappa : {std::vector<double>{}, {0.6, -1}, {0.0}, {std::nan("")}, std::vector<double>(17, 1.0)})
    CHECK_THROWS_AS(SignProcess{kappa}, ConfigError);
}

TEST_CASE("one component is the likelihood ratio of a sign given the size of a Gaussian difference") {
  const double mu = 0.7;  // for a single difference z = +-1, so kappa = mu d / sigma^2 with d = sigma = 1
  const double up = std::exp(-(1 - mu) * (1 - mu) / 2), down = std::exp(-(-1 - mu) * (-1 - mu) / 2);
  const std::vector<double> kappa = {mu};
  CHECK(std::exp(sign_log_e(std::vector<double>{1}, 0, kappa).plus) == doctest::Approx(2 * up / (up + down)).epsilon(1e-14));
}

TEST_CASE("the fewest differences that reach a threshold are the stated ones") {
  CHECK(most(5) == doctest::Approx(13.4).epsilon(0.005));
  CHECK(first(20, most) == 6);
  CHECK(first(20, equal) == 6);
  CHECK(equal(6) == doctest::Approx(22.0).epsilon(0.003));
  CHECK(first(40, most) == 7);
  CHECK(most(7) == doctest::Approx(52.8).epsilon(0.002));
  CHECK(equal(7) == doctest::Approx(42.3).epsilon(0.002));
  CHECK(first(80, most) == 8);
  CHECK(most(8) == doctest::Approx(105).epsilon(0.005));
  CHECK(equal(8) == doctest::Approx(81.8).epsilon(0.001));
  CHECK(first(400, most) == 10);
  CHECK(most(10) == doctest::Approx(418).epsilon(0.002));
  CHECK(first(400, equal) == 11);
  CHECK(equal(11) == doctest::Approx(602).epsilon(0.002));
  CHECK(first(20, most, kWide) == 7);
}

TEST_CASE("no path comes above the stated supremum, and differences that dwarf their predecessors come close to it") {
  std::vector<double> growing;
  for (int i = 0; i < 9; ++i) growing.push_back(std::pow(1e6, i));
  CHECK(after(growing).two_sided <= largest_log_e(9));
  CHECK(after(growing).two_sided == doctest::Approx(largest_log_e(9)).epsilon(1e-9));
  for (uint64_t seed = 0; seed < 20; ++seed) CHECK(after(normals(9, seed, 3)).two_sided <= largest_log_e(9));
}
