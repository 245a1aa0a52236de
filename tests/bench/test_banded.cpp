#include <doctest/doctest.h>

#include "assay/bench/banded.h"
#include "assay/core/error.h"

using namespace assay;

TEST_CASE("the banded product is measured beside the dense one at each density, behind a check of its results") {
  bench::BandedOptions options;
  options.width = 32;
  options.tokens = 64;
  options.machine.threads = 1;
  options.machine.product = "aten";
  const core::Value v = bench::bench_banded(options);
  CHECK(v.at("tokens").as_int() == 64);
  CHECK(v.at("matrices").as_array().size() == 2);
  for (const core::Value& m : v.at("matrices").as_array()) {
    CHECK(m.at("out").as_int() * m.at("in").as_int() == 32 * 128);
    CHECK(m.at("crossover_density").as_double() > 0);
    CHECK(m.at("crossover_density").as_double() <= 1);
    double density = 0;
    for (const core::Value& b : m.at("bands").as_array()) {
      CHECK(b.at("density").as_double() > density);
      density = b.at("density").as_double();
      CHECK(b.at("tile_density").as_double() >= density);
      CHECK(b.at("tile_density").as_double() <= 1);
      CHECK(b.at("ms").as_double() > 0);
      CHECK(b.at("floor_ms").as_double() >= b.at("byte_ms").as_double());
      CHECK(b.at("floor_fraction").as_double() == doctest::Approx(b.at("floor_ms").as_double() / b.at("ms").as_double()));
    }
    CHECK(density == doctest::Approx(0.75).epsilon(0.05));
  }
}

TEST_CASE("sizes that are none are refused by their option") {
  bench::BandedOptions options;
  options.width = 8;
  CHECK_THROWS_WITH_AS(bench::bench_banded(options), doctest::Contains("--width"), core::ConfigError);
  options.width = 32;
  options.tokens = -1;
  CHECK_THROWS_WITH_AS(bench::bench_banded(options), doctest::Contains("--tokens"), core::ConfigError);
}
