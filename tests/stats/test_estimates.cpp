#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "assay/core/error.h"
#include "assay/stats/describe.h"
#include "assay/stats/paired.h"
#include "assay/stats/planning.h"
#include "assay/stats/sign_flips.h"
#include "assay/stats/wilcoxon.h"
#include "stats/help.h"

using namespace assay::stats;
using assay::core::ConfigError;
using assay::stats::test::normals;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::vector<double> boundary(size_t n, double log_e = std::log(20)) {
  std::vector<double> out(n, log_e);
  out[0] = kInfinity;
  return out;
}

// One campaign of a single arm: its differences until the verdict or 20 seeds.
std::vector<double> stopped_path(uint64_t seed, double effect) {
  std::vector<double> d;
  SignProcess p;
  for (double v : normals(20, seed, effect)) {
    d.push_back(v);
    p.add(v);
    if (d.size() >= 2 && p.log_e().two_sided >= std::log(20)) break;
  }
  return d;
}

}  // namespace

TEST_CASE("without a boundary the ordering of paths is that of their sums: the sign-flip test of the shifted differences") {
  const std::vector<double> d = normals(11, 1, 0.4), never(11, kInfinity);
  const SignFlips flips({d, never});
  for (double t : {-1.0, 0.0, 0.3, 1.2}) {
    std::vector<double> shifted = d;
    for (double& v : shifted) v -= t;
    CHECK(flips.p(t) == doctest::Approx(sign_flip(shifted).p_greater - 0x1p-12).epsilon(1e-12));  // the observed path itself counts half
  }
}

TEST_CASE("the estimate after stopping is mirrored with the differences and lies between them") {
  for (uint64_t seed = 0; seed < 8; ++seed) {
    const std::vector<double> d = stopped_path(seed, 1.5);
    std::vector<double> mirrored = d;
    for (double& v : mirrored) v = -v;
    const std::vector<double> limits = boundary(d.size());
    const double estimate = SignFlips({d, limits}).estimate();
    if (d.size() <= 12) CHECK(SignFlips({mirrored, limits}).estimate() == doctest::Approx(-estimate).epsilon(1e-6));
    CHECK(estimate >= *std::min_element(d.begin(), d.end()));
    CHECK(estimate <= *std::max_element(d.begin(), d.end()));
  }
}

TEST_CASE("more than twelve rounds are sampled, with the same numbers each time") {
  const std::vector<double> d = normals(13, 4, 0.3), never(13, kInfinity);
  const SignFlips flips({d, never});
  CHECK(flips.by_simulation());
  CHECK(flips.estimate() == SignFlips({d, never}).estimate());
  std::vector<double> shifted = d;
  for (double& v : shifted) v -= 0.1;
  CHECK(std::abs(flips.p(0.1) - sign_flip(shifted).p_greater) < 5 * std::sqrt(0.25 / 4096));
  CHECK(!SignFlips({std::span(d).first(12), std::span(never).first(12)}).by_simulation());
}

TEST_CASE("the estimate is above the truth as often as below it, where the mean at the stop is not") {
  int above = 0, mean_above = 0;
  const int campaigns = 400;
  for (int i = 0; i < campaigns; ++i) {
    const std::vector<double> d = stopped_path(1000 + static_cast<uint64_t>(i), 1.5);
    if (d.size() > 12) {  // few, and slow: their share above is counted as that of their mean
      above += mean_sd(d).mean > 1.5;
      mean_above += mean_sd(d).mean > 1.5;
      continue;
    }
    above += SignFlips({d, boundary(d.size())}).estimate() > 1.5;
    mean_above += mean_sd(d).mean > 1.5;
  }
  CHECK(std::abs(above - campaigns / 2) <= 3 * std::sqrt(campaigns / 4.0));
  CHECK(mean_above >= above);
}

TEST_CASE("with a threshold a flipped round exchanges who escaped") {
  const std::vector<double> d = {0.01, 1.3, 1.31, 1.29, 0.02, 1.3, 1.32, 1.28, 1.3};
  const std::vector<int> escapes = {0, 1, 1, 1, 0, 1, 1, 1, 1};
  std::vector<int> swapped = escapes;
  std::vector<double> mirrored = d;
  for (size_t i = 0; i < d.size(); ++i) {
    swapped[i] = -escapes[i];
    mirrored[i] = -d[i];
  }
  const std::vector<double> limits = boundary(d.size());
  const double with = SignFlips({d, limits, kDefaultKappa, escapes}).estimate();
  CHECK(SignFlips({mirrored, limits, kDefaultKappa, swapped}).estimate() == doctest::Approx(-with).epsilon(1e-6));
  CHECK_THROWS_AS(SignFlips({d, limits, kDefaultKappa, std::span(escapes).first(3)}), ConfigError);
  CHECK_THROWS_AS(SignFlips({{}, {}}), ConfigError);
}

TEST_CASE("quantiles interpolate as numpy's default does") {
  const std::vector<double> v = {3, 1, 4, 1, 5, 9, 2, 6};  // numpy.quantile(v, [0, .1, .5, .9, 1])
  CHECK(quantile(v, 0) == 1);
  CHECK(quantile(v, 0.1) == 1);
  CHECK(quantile(v, 0.5) == 3.5);
  CHECK(quantile(v, 0.9) == doctest::Approx(6.9).epsilon(1e-14));
  CHECK(quantile(v, 1) == 9);
  CHECK(std::isnan(quantile({}, 0.5)));
  CHECK_THROWS_AS(quantile(v, 1.5), ConfigError);
}

TEST_CASE("Hodges and Lehmann's estimate is the median of the means of pairs") {
  CHECK(hodges_lehmann(std::vector<double>{1, 2, 6}) == 2.75);  // 1, 1.5, 2, 3.5, 4, 6
  CHECK(hodges_lehmann(std::vector<double>{-3}) == -3);
}

TEST_CASE("skewness is scipy's, and none without spread") {
  CHECK(skewness(std::vector<double>{1, 2, 3, 10}) == doctest::Approx(1.0182337649086284).epsilon(1e-12));  // scipy.stats.skew
  CHECK(skewness(std::vector<double>{-1, 0, 1}) == doctest::Approx(0));
  CHECK(std::isnan(skewness(std::vector<double>{2, 2})));
}

TEST_CASE("Wilcoxon's test refuses zeros and takes ties against the finding") {
  CHECK(!wilcoxon_p(std::vector<double>{1, 0, 2}));
  CHECK(!wilcoxon_p({}));
  CHECK(wilcoxon_p(std::vector<double>{1, 2, 3}).value() == 0.25);
  CHECK(wilcoxon_p(std::vector<double>{2, 2, 3}).value() == 0.25);  // ties of one sign change nothing
  // {1, 2, -2, 3, 4}: the sum of positive ranks is 12 or 13 of 15, and 12 is the one that speaks less.
  CHECK(wilcoxon_p(std::vector<double>{1, 2, -2, 3, 4}).value() == wilcoxon_p(std::vector<double>{1, 2, -3, 4, 5}).value());
}

TEST_CASE("pairing that makes runs alike saves seeds, and opposite runs cost seeds") {
  const std::vector<double> a = {1, 2, 3, 4}, b = {1.1, 1.9, 3.2, 4}, c = {4, 3, 2, 1};
  CHECK(pairing(a, b).seeds_ratio < 0.1);
  CHECK(pairing(a, c).rho == doctest::Approx(-1));
  CHECK(pairing(a, c).seeds_ratio == doctest::Approx(2));
  CHECK_THROWS_AS(pairing(a, std::span(b).first(3)), ConfigError);
}

TEST_CASE("a spread from few pilots has a wide upper limit") {
  CHECK(sd_upper_limit(1, 3) > sd_upper_limit(1, 30));
  CHECK(sd_upper_limit(1, 30) > 1);
  CHECK_THROWS_AS(sd_upper_limit(1, 1), ConfigError);
  CHECK_THROWS_AS(sd_upper_limit(1, 5, 1), ConfigError);
}

TEST_CASE("variance that comes from blocks alone is theirs, and stays with any number of seeds") {
  const std::vector<std::vector<double>> table = {{0, 1, 2}, {0, 1, 2}};
  const VarianceComponents v = variance_components(table);
  CHECK(v.document == doctest::Approx(1));
  CHECK(v.seed == 0);
  CHECK(v.document_variance == doctest::Approx(1.0 / 3));
  CHECK_THROWS_AS(variance_components({{1, 2}, {1}}), ConfigError);
  CHECK_THROWS_AS(variance_components({{1, 2}}), ConfigError);
}
