#include "assay/bench/compare.h"

#include <doctest/doctest.h>

#include "arch/helpers.h"
#include "train/helpers.h"

using namespace assay;

namespace {

std::unique_ptr<train::RunConfig> small(const char* name, const std::vector<std::string>& options) {
  auto config = std::make_unique<train::RunConfig>(arch::find_architecture(name));
  for (const char* a : {"train.batch=2", "train.seq_len=16", "train.threads=1", "train.product=aten", "data.corpus_tokens=4000",
                        "data.corpus_val_tokens=400"})
    config->settings.set_assignment(a, core::Source::command_line);
  for (const std::string& a : options) config->settings.set_assignment(a, core::Source::command_line);
  return config;
}

}  // namespace

TEST_CASE("a timed comparison trains each architecture for the same time and orders them by validation loss") {
  const testing::Scratch dir;
  std::vector<std::unique_ptr<train::RunConfig>> configs;
  configs.push_back(small("gpt2", {"model.n_layer=1", "model.n_embd=16", "model.n_head=2"}));
  configs.push_back(small("v9_linattn", {"model.num_steps=1", "model.state_dim=4", "model.inner_dim=8", "train.steps=7"}));
  const core::Value v = bench::compare_timed(configs, 0.005, dir / "runs");
  const auto& runs = v.at("runs").as_array();
  REQUIRE(runs.size() == 2);
  CHECK(runs[0].at("val_loss").as_double() <= runs[1].at("val_loss").as_double());
  for (const core::Value& r : runs) {
    INFO(r.at("name").as_string());
    CHECK(r.at("error").as_string().empty());
    CHECK(r.at("steps").as_int() >= 1);
    CHECK(r.at("seconds").as_double() >= 0.3);  // time is the limit, whatever train.steps said
    CHECK(r.at("parameters").as_int() > 0);
    CHECK(results::read_summary(r.at("directory").as_string())->val_loss == r.at("val_loss").as_double());
  }
  CHECK(core::parse_json(core::read_file(dir / "runs/comparison.json"), "comparison") == v);
}

TEST_CASE("a comparison of nothing, of one architecture with itself or of no time is refused") {
  const testing::Scratch dir;
  std::vector<std::unique_ptr<train::RunConfig>> configs;
  CHECK_THROWS_WITH_AS(bench::compare_timed(configs, 1, dir / "runs"), doctest::Contains("--compare wants names"), core::ConfigError);
  configs.push_back(small("gpt2", {}));
  CHECK_THROWS_WITH_AS(bench::compare_timed(configs, 0, dir / "runs"), doctest::Contains("--minutes"), core::ConfigError);
  configs.push_back(small("gpt2", {}));
  CHECK_THROWS_WITH_AS(bench::compare_timed(configs, 1, dir / "runs"), doctest::Contains("twice"), core::ConfigError);
}

TEST_CASE("whatever ends one run of a comparison is its row; an interruption ends them all") {
  const testing::Scratch dir;
  std::vector<std::unique_ptr<train::RunConfig>> configs;
  configs.push_back(small("gpt2", {"model.n_layer=1", "model.n_embd=16", "model.n_head=2"}));
  configs.push_back(small("v9_linattn", {"model.num_steps=1", "model.state_dim=4", "model.inner_dim=8"}));
  const auto fails = [](const train::RunConfig& c, const std::string&) -> results::Summary {
    if (c.architecture->name == "gpt2") throw std::runtime_error("a library gave up");
    results::Summary s;
    s.status = "done";
    s.val_loss = 3.5;
    return s;
  };
  const core::Value v = bench::compare_timed(configs, 1, dir / "runs", fails);
  const auto& runs = v.at("runs").as_array();
  REQUIRE(runs.size() == 2);
  CHECK(runs[0].at("name").as_string() == "v9_linattn");
  CHECK(runs[1].at("status").as_string() == "failed");
  CHECK(runs[1].at("error").as_string() == "[internal] a library gave up");
  CHECK(core::file_exists(dir / "runs/comparison.json"));
  const auto stops = [](const train::RunConfig&, const std::string&) -> results::Summary { throw core::Interrupted("train", "stopped"); };
  CHECK_THROWS_AS(bench::compare_timed(configs, 1, dir / "again", stops), core::Interrupted);
  int64_t started = 0;
  const auto stops_by_code = [&](const train::RunConfig&, const std::string&) -> results::Summary {  // copied as its base
    ++started;
    throw core::Error(core::Exit::interrupted, "train", "stopped");
  };
  CHECK_THROWS_AS(bench::compare_timed(configs, 1, dir / "again", stops_by_code), core::Error);
  CHECK(started == 1);
}

TEST_CASE("a comparison starts nothing where one of its runs would be refused") {
  const testing::Scratch dir;
  std::vector<std::unique_ptr<train::RunConfig>> configs;
  configs.push_back(small("v9_linattn", {"model.num_steps=1"}));
  configs.push_back(small("gpt2", {"model.n_embd=16", "model.n_head=3"}));
  int64_t started = 0;
  const auto count = [&](const train::RunConfig&, const std::string&) {
    ++started;
    return results::Summary();
  };
  CHECK_THROWS_AS(bench::compare_timed(configs, 1, dir / "runs", count), core::ConfigError);
  CHECK(started == 0);
  configs.pop_back();
  core::make_directories(core::real_files(), dir / "runs/v9_linattn");
  CHECK_THROWS_WITH_AS(bench::compare_timed(configs, 1, dir / "runs", count), doctest::Contains("is there already"), core::ConfigError);
}
