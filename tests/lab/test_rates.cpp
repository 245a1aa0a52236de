// How often verdicts are right: over campaigns with made-up scores, and counted in campaigns of the stand-in program.
#include <doctest/doctest.h>

#include <cmath>

#include "assay/core/log.h"
#include "assay/core/random.h"
#include "assay/lab/real_calibration.h"
#include "assay/lab/rule.h"
#include "stand_in.h"

using assay::core::Stream;
using assay::core::Value;
using namespace assay::lab;
using assay::lab_tests::StandIn;

TEST_CASE("the question about gated residuals: ungated 0.28 is worse, gated is not decided, in at least 95 of 100 campaigns") {
  const Recipe recipe = read_recipe(std::string(ASSAY_SOURCE_DIR) + "/recipes/ngpt_question.toml");
  REQUIRE(recipe.arms.size() == 3);
  REQUIRE(recipe.seeds.size() == 20);
  CHECK(recipe.control == "ungated-0.14");
  // Runs that escape from the plateau in 67.5 % of seeds or never; arms are independent of each other.
  const double escapes[] = {0.675, 0, 0.675};
  int right = 0;
  for (uint64_t campaign = 0; campaign < 100; ++campaign) {
    Standings s{std::vector(3, std::vector<Score>(20)), std::vector<std::string>(3), std::log(50257.0)};
    for (size_t a = 0; a < 3; ++a) {
      const Stream stream(campaign, "gate question", a);
      for (uint64_t i = 0; i < 20; ++i)
        s.scores[a][i] = {Score::Kind::scored, stream.uniform(3 * i) < escapes[a] ? 5.75 + 0.1 * stream.normal(3 * i + 1)
                                                                                  : 7.02 + 0.03 * stream.normal(3 * i + 2)};
    }
    const auto rule = apply_rule(recipe, s);
    right += std::string(rule->word(1)) == "worse" && std::string(rule->word(2)) == "undecided";
  }
  MESSAGE("right in " << right << " of 100 campaigns");
  CHECK(right >= 95);
}

TEST_CASE("at most so many false verdicts are expected of campaigns of identical arms") {
  CHECK(binomial_limit(60, 0.05, 0.99) == 7);
  CHECK(binomial_limit(100, 0.05, 0.99) == 11);
  CHECK(binomial_limit(200, 0.05, 0.99) == 18);
  CHECK(binomial_limit(1, 0.05, 0.99) == 1);
}

TEST_CASE("campaigns of identical arms have seeds of their own and arms that differ in the initial values alone") {
  const Recipe first = parse_recipe(identical_arms_recipe(1), "r.toml"), second = parse_recipe(identical_arms_recipe(2), "r.toml");
  CHECK(first.seeds.back() < second.seeds.front());
  CHECK(first.seeds.size() == 20);
  REQUIRE(first.arms.size() == 2);
  CHECK(first.arms[0].arch == first.arms[1].arch);
  Value a = first.arms[0].options, b = first.arms[1].options;
  CHECK_FALSE(a == b);
  a.erase("train.init_salt");
  b.erase("train.init_salt");
  CHECK(a == b);
}

TEST_CASE("real campaigns are counted, planted effects are looked for, and equal losses are refused") {
  assay::core::set_quiet(true);
  assay::core::set_log_level(assay::core::Level::error);
  const StandIn dir;
  RealRequest request;
  request.directory = dir.at("real");
  request.program = dir.write("wrapper", "#!/bin/sh\nexec " + dir.program() + " \"$@\" fake.mode=salted\n");
  std::filesystem::permissions(request.program, std::filesystem::perms::owner_all);
  request.campaigns = 2;
  request.jobs = 3;
  request.planted = 0.5;
  const Value v = calibrate_real(request);
  CHECK(v.at("rows").size() == 2);
  CHECK(v.at("pairs").as_int() >= 12);
  CHECK(v.at("limit").as_int() == 1);
  CHECK(v.at("sd_difference").as_double() > 0);
  CHECK(v.at("planted").at("found").as_int() == 2);
  CHECK(v.at("planted").at("median_seeds").as_double() >= 6);
  CHECK(dir.exists("real/calibration.json"));
  const std::string starts = dir.read("starts");
  CHECK(calibrate_real(request) == v);
  CHECK(dir.read("starts") == starts);

  const StandIn same;
  request.directory = same.at("real");
  request.program = same.program();
  CHECK_THROWS_WITH(calibrate_real(request), doctest::Contains("their initial values are the same"));
}
