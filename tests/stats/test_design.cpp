#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "assay/core/error.h"
#include "assay/stats/design.h"

using namespace assay::stats;
using assay::core::ConfigError;

namespace {

Design design_of(int64_t arms, int64_t max_seeds) {
  Design d;
  for (int64_t a = 0; a < arms; ++a) d.hypotheses.push_back({"arm" + std::to_string(a), "control"});
  d.max_seeds = max_seeds;
  return d;
}

}  // namespace

TEST_CASE("a design whose seeds cannot give a verdict is refused, and one more seed is enough") {
  CHECK_THROWS_WITH_AS(
      check(design_of(1, 5)),
      "[design] max_seeds is 5; wanted at least 6, the fewest seeds that can give arm0 a verdict among 1 hypotheses at alpha = 0.05",
      ConfigError);
  CHECK_NOTHROW(check(design_of(1, 6)));
  CHECK_THROWS_AS(check(design_of(4, 7)), ConfigError);
  CHECK_NOTHROW(check(design_of(4, 8)));
  Design wide = design_of(1, 6);
  wide.kappa = {0.15, 0.3, 0.6, 1.2, 2.4, 4.8};
  CHECK_THROWS_AS(check(wide), ConfigError);
  CHECK(fewest_seeds(wide, wide.hypotheses[0]) == 7);
}

TEST_CASE("a threshold's averaged e-value can reach 20 at six seeds at the earliest") {
  Design d = design_of(1, 5);
  d.hypotheses[0].escape_threshold = 6.5;
  CHECK_THROWS_AS(check(d), ConfigError);
  CHECK(fewest_seeds(d, d.hypotheses[0]) == 6);
}

TEST_CASE("every number of a design that is out of range is refused") {
  const auto refused = [](void (*spoil)(Design&)) {
    Design d = design_of(2, 20);
    spoil(d);
    CHECK_THROWS_AS(check(d), ConfigError);
  };
  CHECK_NOTHROW(check(design_of(2, 20)));
  refused([](Design& d) { d.hypotheses.clear(); });
  refused([](Design& d) { d.alpha = 0; });
  refused([](Design& d) { d.alpha = std::nan(""); });
  refused([](Design& d) { d.first_look = 1; });
  refused([](Design& d) { d.first_look = 21; });
  refused([](Design& d) { d.kappa.clear(); });
  refused([](Design& d) { d.g = 0; });
  refused([](Design& d) { d.fixed_n = 1; });
  refused([](Design& d) { d.futility = true; });
  refused([](Design& d) { d.hypotheses[1].margin = -0.1; });
  refused([](Design& d) { d.hypotheses[1].cap = std::nan(""); });
  refused([](Design& d) { d.hypotheses[1].arm.clear(); });
}

TEST_CASE("everything that the rule depends on is in the design's document") {
  Design d = design_of(1, 20);
  const std::string before = assay::core::to_json(document_of(d));
  const auto changes = [&](void (*change)(Design&)) {
    Design other = d;
    change(other);
    CHECK(assay::core::to_json(document_of(other)) != before);
  };
  changes([](Design& x) { x.alpha = 0.01; });
  changes([](Design& x) { x.max_seeds = 21; });
  changes([](Design& x) { x.first_look = 3; });
  changes([](Design& x) { x.kappa[0] = 0.5; });
  changes([](Design& x) { x.g = 2; });
  changes([](Design& x) { x.futility = true; });
  changes([](Design& x) { x.fixed_n = 20; });
  changes([](Design& x) { x.hypotheses.push_back(x.hypotheses[0]); });
  changes([](Design& x) { x.hypotheses[0].margin = 0.1; });
  changes([](Design& x) { x.hypotheses[0].escape_threshold = 6.5; });
  changes([](Design& x) { x.hypotheses[0].escape_below = false; });
  changes([](Design& x) { x.hypotheses[0].cap = 10; });
}
