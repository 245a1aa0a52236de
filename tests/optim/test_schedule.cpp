#include <doctest/doctest.h>

#include "assay/core/error.h"
#include "assay/optim/schedule.h"

using namespace assay;
using optim::multiplier;
using optim::ScheduleConfig;

TEST_CASE("cosine: a ramp, the published formula after it, the floor at the end") {
  const ScheduleConfig c{"cosine", 4, 0.1, 0};
  CHECK(multiplier(c, {0, 20, 0, 0}) == doctest::Approx(0.25));
  CHECK(multiplier(c, {3, 20, 0, 0}) == doctest::Approx(1));
  CHECK(multiplier(c, {4, 20, 0, 0}) == doctest::Approx(1));
  CHECK(multiplier(c, {12, 20, 0, 0}) == doctest::Approx(0.55));
  CHECK(multiplier(c, {20, 20, 0, 0}) == doctest::Approx(0.1));
}

TEST_CASE("the default ramp is 2 % of the run, at least one update") {
  CHECK(optim::warmup_of({"cosine", -1, 0.1, 0}, 1000) == 20);
  CHECK(optim::warmup_of({"cosine", -1, 0.1, 0}, 10) == 1);
  CHECK(optim::warmup_of({"cosine", 0, 0.1, 0}, 1000) == 0);
}

TEST_CASE("reference: shorter than the warm-down, the run never reaches the base rate") {
  const ScheduleConfig c{"reference", 0, 0, 1200};
  CHECK(multiplier(c, {0, 500, 0, 0}) == doctest::Approx(500.0 / 1200));
  CHECK(multiplier(c, {499, 500, 0, 0}) == doctest::Approx(1.0 / 1200));
  CHECK(multiplier({"reference", 0, 0, 4}, {5, 10, 0, 0}) == 1);
  CHECK(multiplier({"reference", 0, 0, 4}, {7, 10, 0, 0}) == doctest::Approx(0.75));
  CHECK(multiplier({"reference", 0, 0, 0}, {499, 500, 0, 0}) == 1);
}

TEST_CASE("reference with a time limit: full rate at first, then remaining time over the warm-down's expected time") {
  const ScheduleConfig c{"reference", 0, 0, 1200};
  CHECK(multiplier(c, {0, 0, 0, 600}) == 1);
  CHECK(multiplier(c, {1, 0, 1.5, 600}) == doctest::Approx(598.5 / (1200 * 1.5)));
  CHECK(multiplier(c, {400, 0, 600, 600}) == 0);
}

TEST_CASE("linear: flat, then a fall over the last updates") {
  const ScheduleConfig c{"linear", 2, 0, 5};
  CHECK(multiplier(c, {0, 20, 0, 0}) == doctest::Approx(0.5));
  CHECK(multiplier(c, {10, 20, 0, 0}) == 1);
  CHECK(multiplier(c, {18, 20, 0, 0}) == doctest::Approx(0.4));
}

TEST_CASE("with a time limit cosine follows the clock, and no schedule leaves [0, 1]") {
  const ScheduleConfig c{"cosine", 0, 0, 0};
  CHECK(multiplier(c, {3, 0, 50, 100}) == doctest::Approx(0.5));
  for (const char* name : {"constant", "cosine", "linear", "reference"})
    for (int64_t n = 0; n <= 30; ++n)
      for (double elapsed : {0.0, 50.0, 99.0, 200.0}) {
        const double m = multiplier({name, 3, 0.1, 7}, {n, 25, elapsed, 100});
        CHECK(m >= 0);
        CHECK(m <= 1);
      }
}

TEST_CASE("an unknown schedule is refused with the nearest name") {
  CHECK_THROWS_WITH_AS(multiplier({"cosin", 0, 0, 0}, {0, 1, 0, 0}), doctest::Contains("cosine"), core::ConfigError);
}
