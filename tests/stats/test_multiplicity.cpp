#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "assay/core/error.h"
#include "assay/stats/multiplicity.h"
#include "stats/help.h"

using namespace assay::stats;
using assay::core::ConfigError;
using assay::stats::test::normals;

TEST_CASE("e-BH rejects at its thresholds and a rounding below them, not further below") {
  const double at = std::log(80);
  CHECK(e_bh(std::vector<double>{at, 0, 0, 0}, 0.05, 4) == std::vector<size_t>{0});
  CHECK(e_bh(std::vector<double>{at - 5e-13, 0, 0, 0}, 0.05, 4) == std::vector<size_t>{0});
  CHECK(e_bh(std::vector<double>{at - 1e-11, 0, 0, 0}, 0.05, 4).empty());
}

TEST_CASE("hypotheses without an e-value still count in e-BH") {
  const std::vector<double> one = {std::log(20)};
  CHECK(e_bh(one, 0.05, 1).size() == 1);
  CHECK(e_bh(one, 0.05, 2).empty());
  CHECK_THROWS_AS(e_bh(std::vector<double>{1, 2}, 0.05, 1), ConfigError);
  for (double alpha : {0.0, 1.0, std::nan("")}) CHECK_THROWS_AS(e_bh(one, alpha, 1), ConfigError);
}

TEST_CASE("the boundary of e-BH is the smallest log e that is rejected beside the others") {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    std::vector<double> values = normals(6, seed, 1.5);
    for (double& v : values) v *= 2;
    const size_t self = seed % 6;
    std::vector<double> others = values;
    others.erase(others.begin() + static_cast<long>(self));
    const double boundary = e_bh_boundary(others, 0.05, 7);
    for (double step : {-1e-9, 1e-9}) {
      values[self] = boundary + step;
      const std::vector<size_t> rejected = e_bh(values, 0.05, 7);
      CHECK((std::find(rejected.begin(), rejected.end(), self) != rejected.end()) == (step > 0));
    }
  }
  CHECK(e_bh_boundary({}, 0.05, 1) == doctest::Approx(std::log(20)).epsilon(1e-11));
}

TEST_CASE("with one hypothesis e-BH and Holm on 1/e agree") {
  for (double log_e : {2.9, 2.99573, 2.9958, 3.5}) {
    const bool holm = holm_adjusted(std::vector<double>{std::exp(-log_e)})[0] <= 0.05;
    CHECK(holm == !e_bh(std::vector<double>{log_e}, 0.05, 1).empty());
  }
}

TEST_CASE("Holm's adjusted p-values are at least the p-values, in their order, and at most 1") {
  const std::vector<double> p = {0.4, 0.001, 0.03, 1, 0.03};
  const std::vector<double> adjusted = holm_adjusted(p);
  for (size_t i = 0; i < p.size(); ++i) {
    CHECK(adjusted[i] >= p[i]);
    CHECK(adjusted[i] <= 1);
    for (size_t j = 0; j < p.size(); ++j) CHECK((p[i] >= p[j] || adjusted[i] <= adjusted[j]));
  }
  for (double bad : {-0.1, 1.1, std::nan("")}) CHECK_THROWS_AS(holm_adjusted(std::vector<double>{bad}), ConfigError);
  CHECK(holm_adjusted({}).empty());
}
