// The words that arms get for what they are: in a campaign of the stand-in program, and for scores that are made up.
#include <doctest/doctest.h>

#include <cmath>

#include "assay/core/error.h"
#include "assay/core/log.h"
#include "assay/core/random.h"
#include "assay/lab/campaign.h"
#include "assay/lab/real_calibration.h"
#include "assay/lab/rule.h"
#include "stand_in.h"

using assay::core::Stream;
using assay::core::Value;
using namespace assay::lab;
using assay::lab_tests::StandIn;

TEST_CASE("an arm of two modes, a diverging, a leaky, a badly tuned and an identical one get the right words") {
  assay::core::set_quiet(true);
  assay::core::set_log_level(assay::core::Level::error);
  const StandIn dir;
  Request request;
  request.recipe = dir.write("recipe.toml", R"(name = "words"
seeds = 14
control = "control"
tokens = 1000
escape_threshold = 3.6
baselines = []
[tune]
seeds = [21, 22]
optim.lr = [0.01, 0.03, 0.1]
[common]
fake.mode = "noisy"
fake.base = 3
fake.best = 0.03
[[arm]]
name = "control"
arch = "a"
[[arm]]
name = "modes"
arch = "b"
fake.mode = "plateau"
[[arm]]
name = "diverging"
arch = "c"
fake.mode = "diverge_late"
[[arm]]
name = "leaky"
arch = "d"
fake.mode = "leaky"
[[arm]]
name = "edge"
arch = "e"
fake.best = 0.1
[[arm]]
name = "twin"
arch = "f"
)");
  request.directory = dir.at("out");
  request.program = dir.program();
  request.jobs = 3;
  const Outcome o = run_campaign(request);
  CHECK(o.exit == assay::core::Exit::partial);  // runs that diverged are members that failed
  const auto arm = [&](const std::string& name) {
    for (const Value& a : o.results.at("arms").as_array())
      if (a.at("name").as_string() == name) return a;
    throw std::runtime_error(name);
  };
  const auto says = [&](const std::string& name, const char* word, const std::string& part) {
    INFO(assay::core::to_json(arm(name)));
    CHECK(arm(name).at("verdict").as_string() == word);
    CHECK(arm(name).at("sentence").as_string().find(part) != std::string::npos);
  };
  says("modes", "worse", "two modes: escape 0 of ");
  says("diverging", "worse", "runs diverged and score ln V");
  says("leaky", "refused", "No verdict: audit failed: causality at hops.0: sees the future");
  says("edge", "refused", "No verdict: tuned at the edge of its grid: optim.lr = 0.1 is the largest of its values");
  says("twin", "refused", "No verdict: ");
  CHECK(arm("twin").at("reason").as_string().find("the arms are the same") != std::string::npos);
  CHECK(o.results.at("design").at("m").as_int() == 5);  // also the refused ones keep their places
}

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

TEST_CASE("validation noise is told apart from seed noise, and a verdict that rests on the text says so") {
  assay::core::set_quiet(true);
  assay::core::set_log_level(assay::core::Level::error);
  const StandIn dir;
  Request request;
  request.recipe = dir.write(
      "recipe.toml", "name = \"demo\"\nseeds = 20\ncontrol = \"a\"\ntokens = 1000\n[[arm]]\nname = \"a\"\narch = \"gpt2\"\nfake.base = 3\n"
                     "fake.mode = \"noisy\"\n[[arm]]\nname = \"b\"\narch = \"v8\"\nfake.base = 1\n");
  request.directory = dir.at("out");
  request.program = dir.program();
  const Value plain = run_campaign(request).results.at("arms").as_array()[1];
  CHECK(plain.at("verdict").as_string() == "better");
  CHECK(plain.at("validation_noise").is_null());
  CHECK(plain.at("sentence").as_string().find("on this validation set") == std::string::npos);
  // Documents of ten tokens on which the arm gains and loses in turn, the same with every seed.
  std::string tokens, control, arm;
  for (int i = 0; i < 128; ++i) {
    tokens += std::string(i > 0 ? "," : "") + "10";
    control += std::string(i > 0 ? "," : "") + "100";
    arm += std::string(i > 0 ? "," : "") + ((i / 2) % 2 == 0 ? "0" : "180");
  }
  for (int64_t seed = 1; seed <= 20; ++seed)
    for (const auto& [name, nats] : {std::pair<std::string, std::string>{"a", control}, {"b", arm}})
      if (const std::string run = "out/members/" + name + "-s" + std::to_string(seed); dir.exists(run))
        dir.write(run + "/validation.json", "{\"piece_tokens\": [" + tokens + "], \"piece_nats\": [" + nats + "]}");
  const Value b = campaign_status(dir.at("out")).at("arms").as_array()[1];
  const Value& noise = b.at("validation_noise");
  CHECK(noise.at("blocks").as_int() == 64);
  CHECK(noise.at("seeds").as_int() == b.at("seeds").as_int());
  CHECK(noise.at("seed_sd").as_double() == doctest::Approx(0).epsilon(1e-6));
  CHECK(noise.at("text_sd").as_double() == doctest::Approx(9 / std::sqrt(63.0)));
  CHECK(b.at("sentence").as_string().find("on this validation set") != std::string::npos);
  CHECK(b.at("verdict").as_string() == "better");
}
