#include <doctest/doctest.h>

#include "assay/bench/bench.h"

using namespace assay;

TEST_CASE("groups of updates give as many samples as were wanted, on a GPU as on the CPU") {
  for (const int64_t steps : {1, 2, 20})
    for (const bool cuda : {false, true}) {
      const bench::UpdateGroups g = bench::update_groups({.steps = steps, .warmup = 3}, cuda);
      CHECK(g.samples == steps);
      CHECK(g.together == (cuda ? 5 : 1));
    }
  CHECK(bench::update_groups({.steps = 1, .warmup = 0}, true).warmup == 0);
  CHECK(bench::update_groups({.steps = 1, .warmup = 3}, true).warmup == 1);
  CHECK(bench::update_groups({.steps = 1, .warmup = 10}, true).warmup == 2);
  CHECK(bench::update_groups({.steps = 1, .warmup = 11}, true).warmup == 3);
  CHECK(bench::update_groups({.steps = 1, .warmup = 3}, false).warmup == 3);
}

TEST_CASE("a summary has a spread from three samples on, and nothing has no summary") {
  CHECK_THROWS_AS(bench::summarize({}), std::logic_error);
  CHECK(bench::summarize({4}).median_ms == 4);
  CHECK(bench::summarize({4}).spread().is_null());
  CHECK(bench::summarize({4, 5}).spread().is_null());
  const bench::Timing t = bench::summarize({3, 1, 2, 5, 4});
  CHECK(t.median_ms == 3);
  CHECK(t.samples == 5);
  CHECK(t.spread().as_double() == 1);
}
