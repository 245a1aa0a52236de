// kill -9 of a campaign and of its workers at random moments: the verdicts and every number behind them are those of an undisturbed one.
#include <doctest/doctest.h>

#include <csignal>
#include <fstream>
#include <sstream>

#include "assay/core/file.h"
#include "assay/core/random.h"
#include "train/helpers.h"
#include "train/processes.h"

using namespace assay;
using testing::program;
using testing::start;
using testing::wait_for;

namespace {

constexpr const char* kRecipe = R"(name = "kill"
seeds = 9
control = "small"
tokens = 6400
baselines = ["ngram:2"]
threads = 1
product = "aten"
[common]
data.path = "grammar"
data.tokenizer = "words"
data.corpus_val_tokens = 1500
train.seq_len = 16
train.batch = 4
train.checkpoint_every = 20
[[arm]]
name = "small"
arch = "gpt2"
model.n_layer = 1
model.n_embd = 8
model.n_head = 2
optim.lr = 0.003
[[arm]]
name = "wide"
arch = "gpt2"
model.n_layer = 1
model.n_embd = 32
model.n_head = 2
optim.lr = 0.01
[[arm]]
name = "leaky"
arch = "v8"
model.num_hops = 1
compat.reversed_mask = true
)";

std::vector<std::string> command(const std::string& recipe, const std::string& out) {
  return {program(), "campaign", recipe, "--out", out, "--jobs", "2", "--retry-failed", "--quiet"};
}

std::vector<pid_t> children_of(pid_t parent) {
  std::ifstream in("/proc/" + std::to_string(parent) + "/task/" + std::to_string(parent) + "/children");
  std::vector<pid_t> out;
  for (pid_t p; in >> p;) out.push_back(p);
  return out;
}

// The results without what a clock or the number of started runs decides.
std::string figures(const std::string& directory) {
  core::Value results = core::parse_json(core::read_file(directory + "/results.json"), "results");
  core::Value out = core::Value::object();
  for (const char* key : {"rule", "design", "rounds", "references", "recipe_hash", "seeds"}) out[key] = results.at(key);
  out["arms"] = core::Value::array();
  for (core::Value arm : results.at("arms").as_array()) {
    for (const char* key : {"tokens_per_s", "peak_bytes", "seconds"}) arm.erase(key);
    out["arms"].push_back(arm);
  }
  return core::to_json(out, 1);
}

}  // namespace

TEST_CASE("ten kills -9 of a campaign and its workers: the same verdicts and numbers as undisturbed") {
  const testing::Scratch dir;
  const std::string recipe = dir / "recipe.toml";
  core::write_file(core::real_files(), recipe, kRecipe);
  REQUIRE(wait_for(start(command(recipe, dir / "straight"))) == 0);

  const core::Stream random(static_cast<uint64_t>(getpid()), "kill campaign");
  int kills = 0, workers = 0;
  for (uint64_t attempt = 0; kills < 10; ++attempt) {
    REQUIRE(attempt < 100);
    const pid_t campaign = start(command(recipe, dir / "killed"));
    usleep(static_cast<useconds_t>(1000 * (100 + 2500 * random.uniform(2 * attempt))));
    const std::vector<pid_t> members = children_of(campaign);
    const bool worker = attempt % 2 == 1 && !members.empty();
    if (worker) kill(members[random.below(2 * attempt + 1, members.size())], SIGKILL);
    else kill(campaign, SIGKILL);
    if (worker) usleep(300000), kill(campaign, SIGKILL);
    if (wait_for(campaign) != 128 + SIGKILL) continue;  // it was done before
    ++kills;
    workers += worker ? 1 : 0;
    if (core::file_exists(dir / "killed/results.json")) std::filesystem::remove(dir / "killed/results.json");
  }
  MESSAGE(kills << " kills, " << workers << " of them of a worker first");
  REQUIRE(wait_for(start(command(recipe, dir / "killed"))) == 0);
  CHECK(figures(dir / "killed") == figures(dir / "straight"));
  const core::Value results = core::parse_json(core::read_file(dir / "straight/results.json"), "results");
  CHECK(results.at("arms").as_array()[2].at("verdict").as_string() == "refused");
}
