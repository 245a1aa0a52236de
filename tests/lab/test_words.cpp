// The words that arms get for what they are, in a campaign of the stand-in program.
#include <doctest/doctest.h>

#include <cmath>

#include "assay/core/error.h"
#include "assay/core/log.h"
#include "assay/lab/campaign.h"
#include "stand_in.h"

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
