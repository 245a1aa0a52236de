#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "assay/core/error.h"
#include "assay/stats/paired.h"

using assay::core::ConfigError;
using namespace assay::stats;

namespace {

const std::vector<double> three = {0.021, 0.013, 0.034};
const std::vector<double> eight = {0.5, -0.25, 0.125, 0.75, -0.5, 0.375, 0.0625, 1.0};
constexpr double kUnbounded = std::numeric_limits<double>::infinity();

}  // namespace

// Expected values: scipy 1.x, r = stats.ttest_1samp(d, 0.0); r.confidence_interval(confidence); d.std(ddof=1).
TEST_CASE("the paired t test agrees with scipy at three pairs") {
  const PairedSummary s = paired_t(three);
  CHECK(s.n == 3);
  CHECK(s.mean == doctest::Approx(0.02266666666666667).epsilon(1e-14));
  CHECK(s.sd == doctest::Approx(0.010598742063723098).epsilon(1e-13));
  CHECK(s.lower == doctest::Approx(-0.0036620681909423983).epsilon(1e-11));
  CHECK(s.upper == doctest::Approx(0.048995401524275735).epsilon(1e-12));
  CHECK(s.t == doctest::Approx(3.7041960327793344).epsilon(1e-13));
  CHECK(s.p_two_sided == doctest::Approx(0.06577187905980111).epsilon(1e-12));
}

TEST_CASE("the paired t test agrees with scipy at another confidence and with mixed signs") {
  const PairedSummary s = paired_t(eight, 0.99);
  CHECK(s.mean == 0.2578125);
  CHECK(s.sd == doctest::Approx(0.5004880430639677).epsilon(1e-14));
  CHECK(s.lower == doctest::Approx(-0.36141842587480255).epsilon(1e-12));
  CHECK(s.upper == doctest::Approx(0.8770434258748026).epsilon(1e-12));
  CHECK(s.t == doctest::Approx(1.4569855927715483).epsilon(1e-13));
  CHECK(s.p_two_sided == doctest::Approx(0.18846796327517915).epsilon(1e-12));
}

TEST_CASE("the paired t test agrees with scipy at two pairs and a negative mean") {
  const PairedSummary s = paired_t(std::vector<double>{-1.5, -2.5}, 0.9);
  CHECK(s.lower == doctest::Approx(-5.156875757337522).epsilon(1e-12));
  CHECK(s.upper == doctest::Approx(1.1568757573375184).epsilon(1e-12));
  CHECK(s.t == doctest::Approx(-4.0).epsilon(1e-14));
  CHECK(s.p_two_sided == doctest::Approx(0.15595826075473865).epsilon(1e-12));
}

TEST_CASE("the paired t test agrees with scipy on differences of 1e-9") {
  const PairedSummary s = paired_t(std::vector<double>{1e-9, 2e-9, 4e-9, 3e-9, 5e-9, -1e-9, 2.5e-9, 0, 7e-9, 1e-9});
  CHECK(s.mean / 2.45e-09 == doctest::Approx(1.0).epsilon(1e-13));
  CHECK(s.sd / 2.4088955514463005e-09 == doctest::Approx(1.0).epsilon(1e-13));
  CHECK(s.lower / 7.267799315108761e-10 == doctest::Approx(1.0).epsilon(1e-11));
  CHECK(s.p_two_sided == doctest::Approx(0.010552846095209904).epsilon(1e-11));
}

TEST_CASE("fewer than two pairs give no interval and no evidence") {
  const PairedSummary one = paired_t(std::vector<double>{0.25});
  CHECK(one.n == 1);
  CHECK(one.mean == 0.25);
  CHECK(std::isnan(one.sd));
  CHECK(std::isnan(one.lower));
  CHECK(std::isnan(one.upper));
  CHECK(one.p_two_sided == 1);
  const PairedSummary none = paired_t({});
  CHECK(none.n == 0);
  CHECK(std::isnan(none.mean));
  CHECK(none.p_two_sided == 1);
}

TEST_CASE("equal differences have no spread, also where their mean does not round exactly") {
  const PairedSummary s = paired_t(std::vector<double>(7, 0.1));
  CHECK(s.mean == 0.1);
  CHECK(s.sd == 0);
  CHECK(s.lower == 0.1);
  CHECK(s.upper == 0.1);
  CHECK(s.t == kUnbounded);
  CHECK(s.p_two_sided == 0);
  CHECK(paired_t(std::vector<double>{-0.3, -0.3}).t == -kUnbounded);
}

TEST_CASE("differences that are all zero are no evidence") {
  const PairedSummary s = paired_t(std::vector<double>(4, 0.0));
  CHECK(s.lower == 0);
  CHECK(std::isnan(s.t));
  CHECK(s.p_two_sided == 1);
}

TEST_CASE("a non-finite difference or a confidence outside (0, 1) is refused") {
  CHECK_THROWS_WITH_AS(paired_t(std::vector<double>{1, kUnbounded}), "[stats] value 1 of 2 is not finite", ConfigError);
  CHECK_THROWS_AS(paired_t(std::vector<double>{1, std::nan("")}), ConfigError);
  for (double confidence : {0.0, 1.0, -0.5, 95.0, std::nan("")}) CHECK_THROWS_AS(paired_t(three, confidence), ConfigError);
}

// Expected values: scipy, permutation_test((d,), sum, permutation_type='samples', n_resamples=inf).
TEST_CASE("the sign-flip test agrees with scipy's exact permutation test") {
  CHECK(sign_flip(three).p_two_sided == 0.25);
  CHECK(sign_flip(three).p_greater == 0.125);
  CHECK(sign_flip(eight).p_two_sided == 0.203125);
  CHECK(sign_flip(eight).p_greater == 0.1015625);
  CHECK(sign_flip(std::vector<double>{1, 1, -1, 1, 1, 1}).p_two_sided == 0.21875);
  CHECK(sign_flip(std::vector<double>{0, 0, 2, 3}).p_greater == 0.25);
}

TEST_CASE("the sign-flip test counts what a plain loop over all signs counts") {
  const std::vector<double> d = {0.3, -0.1, 0.2, 0.2, -0.4, 0.7, 0.1, 0.05, -0.05, 0.6, 0.11};
  double observed = 0;
  for (double v : d) observed += v;
  int greater = 0, beyond = 0;
  for (unsigned signs = 0; signs < 1u << d.size(); ++signs) {
    double sum = 0;
    for (size_t i = 0; i < d.size(); ++i) sum += (signs >> i & 1) ? -d[i] : d[i];
    greater += sum >= observed - 1e-11;
    beyond += std::abs(sum) >= observed - 1e-11;
  }
  CHECK(sign_flip(d).p_greater == greater / 2048.0);
  CHECK(sign_flip(d).p_two_sided == beyond / 2048.0);
}

TEST_CASE("sums that are equal but for rounding are ties of the sign-flip test") {
  // 0.1 + 0.2 + 0.3 depends on the order of summation; all signs equal must give 2 / 2^n.
  CHECK(sign_flip(std::vector<double>{0.1, 0.2, 0.3}).p_two_sided == 0.25);
  CHECK(sign_flip(std::vector<double>{0.1, 0.2, -0.3}).p_two_sided == 1.0);
}

TEST_CASE("the sign-flip test reaches 20 differences and refuses more") {
  CHECK(sign_flip(std::vector<double>(20, 1.0)).p_greater == std::ldexp(1.0, -20));
  CHECK_THROWS_AS(sign_flip(std::vector<double>(21, 1.0)), ConfigError);
  CHECK(sign_flip({}).p_two_sided == 1);
}
