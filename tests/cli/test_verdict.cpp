#include <doctest/doctest.h>

#include "assay/cli/verdict_text.h"
#include "cli/command.h"

using namespace assay;
using namespace assay::test;

namespace {

core::Value campaign_results() {
  return core::parse_json(R"({
    "name": "demo", "question": "Does it help?", "control": "gpt2", "metric": "val_loss", "rule": "sequential", "done": 6, "unfinished": 2,
    "members": [{"arm": "gpt2"}],
    "arms": [
      {"name": "gpt2", "verdict": "control", "n": 3, "effect": null},
      {"arch": "v8", "sentence": "v8 beats gpt2 by 0.04.", "name": "v8", "verdict": "better", "effect": 0.04, "interval": [0.01, null],
       "e_value": 123.5, "p_value": 0.008, "seeds": 3, "reason": "", "extra": {"kept": [1]}},
      {"name": "bad", "verdict": "refused", "reason": "audit failed: causality\u001b[2J"},
      {"name": "bare"}
    ]})",
                          "test");
}

}  // namespace

TEST_CASE("a verdict is a sentence an arm, then a table") {
  const std::string text = cli::render_verdict(campaign_results());
  INFO(text);
  CHECK(contains(text, "demo: Does it help?\n"));
  CHECK(contains(text, "v8 beats gpt2 by 0.04.\n"));
  CHECK(contains(text, "bad: refused, audit failed: causality\\x1B[2J.\n"));
  CHECK(contains(text, "bare: no verdict.\n"));
  CHECK_FALSE(contains(text, "gpt2: control"));
  CHECK(contains(text, "arm   verdict  effect      interval  e-value  seeds\n"));
  CHECK(contains(text, "gpt2  control       -             -        -      -\n"));
  CHECK(contains(text, "v8    better    +0.04  [+0.01, ...]    123.5      3\n"));
  CHECK(contains(text, "in val_loss, positive where the arm is better"));
  CHECK(contains(text, "6 members are done, 2 are not"));
}

TEST_CASE("the document opens each arm with the keys that scripts read, and passes the others on") {
  const core::Value v = cli::verdict_document(campaign_results());
  CHECK(v.find("members") == nullptr);
  CHECK(v.at("metric").as_string() == "val_loss");
  const auto& arms = v.at("arms").as_array();
  REQUIRE(arms.size() == 4);
  for (const core::Value& arm : arms) {
    std::vector<std::string> keys = keys_of(arm);
    keys.resize(8);
    CHECK(keys == std::vector<std::string>{"name", "verdict", "effect", "interval", "e_value", "p_value", "seeds", "reason"});
  }
  CHECK(arms[1].at("e_value") == core::Value(123.5));
  CHECK(arms[1].at("extra").at("kept").size() == 1);
  CHECK(arms[1].at("sentence").as_string() == "v8 beats gpt2 by 0.04.");
  CHECK(arms[3].at("verdict").is_null());
}

TEST_CASE("a control without a verdict is called one, and its own fault is said first") {
  core::Value v = campaign_results();
  v["arms"].as_array()[0] = core::parse_json(R"({"name": "gpt2", "verdict": null, "reason": "audit failed"})", "test");
  CHECK(cli::verdict_document(v).at("arms").as_array()[0].at("verdict").as_string() == "control");
  CHECK(contains(cli::render_verdict(v), "The control counts for nothing: audit failed\n"));
}

TEST_CASE("results of an older or empty campaign are shown as far as they go; what is none is refused") {
  CHECK(contains(cli::render_verdict(core::parse_json(R"({"arms": []})", "test")), "arm  verdict"));
  for (const char* text : {"[]", "{}", R"({"arms": 3})", R"({"arms": [3]})", R"({"arms": [{"verdict": "better"}]})"}) {
    const core::Value v = core::parse_json(text, "test");
    CHECK_THROWS_AS(cli::render_verdict(v), core::DataError);
    CHECK_THROWS_AS(cli::verdict_document(v), core::DataError);
  }
}

TEST_CASE("a directory that holds no campaign is refused with exit 2") {
  const Scratch scratch;
  const Ran r = ran(&cli::run_verdict, {scratch.path()});
  CHECK(r.code == 2);
  CHECK(r.out.empty());
  CHECK(contains(r.error, "campaign.json"));
}
