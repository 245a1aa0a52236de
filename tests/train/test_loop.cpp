#include <ATen/ops/equal.h>
#include <ATen/ops/nan_to_num.h>
#include <doctest/doctest.h>

#include <csignal>

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/train/checkpoint.h"
#include "assay/train/step.h"
#include "train/helpers.h"

using namespace assay;
using testing::Scratch;
using testing::tiny_run;

namespace {

// metrics.jsonl without what depends on the clock.
std::vector<std::string> rows(const std::string& directory) {
  std::vector<std::string> out;
  for (core::Value row : results::read_metrics(directory)) {
    row.erase("time");
    out.push_back(core::to_json(row));
  }
  return out;
}

std::string weights(const std::string& directory) {
  return core::read_file(train::open_checkpoint(directory).directory + "/model.safetensors");
}

std::string moments(const std::string& directory) {
  return core::read_file(train::open_checkpoint(directory).directory + "/optimizer.safetensors");
}

}  // namespace

TEST_CASE("training lowers the loss of both models and leaves a complete run directory") {
  for (const std::string arch : {"v8_lowrank_vv", "gpt2"}) {
    INFO(arch);
    const Scratch dir;
    const auto config = tiny_run(arch.c_str(), {"train.val_every=20"});
    const results::Summary s = train::train_new(*config, dir / "run");
    CHECK(s.status == "done");
    CHECK(s.steps == 20);
    CHECK(s.tokens == 20 * 2 * 32);
    for (const std::string file : {"config.toml", "env.json", "metrics.jsonl", "summary.json", "log.txt"}) {
      INFO(file);
      CHECK(core::file_exists(dir / ("run/" + file)));
    }
    const auto metrics = results::read_metrics(dir / "run");
    CHECK(metrics.front().at("kind").as_string() == "val");
    CHECK(metrics.back().at("loss").as_double() < metrics.front().at("loss").as_double());
    CHECK(metrics.back().at("bits_per_byte").as_double() ==
          doctest::Approx(metrics.back().at("loss").as_double() / std::log(2.0)).epsilon(0.02));
    CHECK(metrics[1].at("activation_rms").size() >= 2);
  }
}

TEST_CASE("the same configuration gives the same bits, another seed does not") {
  const Scratch dir;
  for (const char* name : {"a", "b"}) train::train_new(*tiny_run("v8_lowrank_vv"), dir / name);
  train::train_new(*tiny_run("v8_lowrank_vv", {"train.seed=7"}), dir / "c");
  CHECK(rows(dir / "a") == rows(dir / "b"));
  CHECK(weights(dir / "a") == weights(dir / "b"));
  CHECK(weights(dir / "a") != weights(dir / "c"));
}

TEST_CASE("accumulation over micro-batches equals one large batch, to rounding") {
  const Scratch dir;
  const auto whole = tiny_run("gpt2", {"train.batch=4", "train.steps=5"});
  const auto parts = tiny_run("gpt2", {"train.batch=2", "train.accumulation=2", "train.steps=5"});
  const double a = *train::train_new(*whole, dir / "whole").val_loss, b = *train::train_new(*parts, dir / "parts").val_loss;
  CHECK(a == doctest::Approx(b).epsilon(1e-4));
}

TEST_CASE("a run that stops at a limit and goes on with a later one equals a run that never stopped") {
  const Scratch dir;
  const std::initializer_list<const char*> options{"optim.schedule=constant", "train.checkpoint_every=7", "train.val_every=5"};
  train::train_new(*tiny_run("v8_lowrank_vv", options), dir / "straight");
  auto first = tiny_run("v8_lowrank_vv", options);
  first->settings.set_assignment("train.steps=10", core::Source::command_line);
  train::train_new(*first, dir / "parts");
  train::resume(dir / "parts", {"train.steps=20"});
  CHECK(weights(dir / "straight") == weights(dir / "parts"));
  CHECK(moments(dir / "straight") == moments(dir / "parts"));
  CHECK(rows(dir / "straight") == rows(dir / "parts"));
}

TEST_CASE("statistics of past updates and dropout's masks go on where a stopped run was, in every mode of dropout") {
  const Scratch dir;
  std::string different;  // masks matter: another mode ends with other weights
  for (const std::string mode : {"branch", "state", "path"}) {
    INFO(mode);
    const std::string drop = "model.dropout=" + mode;
    const auto run = [&](const char* steps) {
      return tiny_run("ngpt", {steps, "train.checkpoint_every=3", "train.val_every=5", "train.accumulation=2", "optim.schedule=constant",
                               "model.dual_norm=true", "model.dropout_p=0.3", "model.n_layer=2", drop.c_str()});
    };
    train::train_new(*run("train.steps=8"), dir / (mode + "-straight"));
    train::train_new(*run("train.steps=5"), dir / (mode + "-parts"));
    train::resume(dir / (mode + "-parts"), {"train.steps=8"});
    CHECK(weights(dir / (mode + "-straight")) == weights(dir / (mode + "-parts")));  // with the statistics, under state/
    CHECK(rows(dir / (mode + "-straight")) == rows(dir / (mode + "-parts")));
    CHECK(weights(dir / (mode + "-straight")) != different);
    different = weights(dir / (mode + "-straight"));
  }
}

TEST_CASE("a resumed run goes on with its data; loader.reset_on_resume starts them again, and stays so") {
  const Scratch dir;
  const auto trained = [&](const char* name, std::vector<std::string> how) {
    train::train_new(
        *tiny_run("v8_lowrank_vv", {"optim.schedule=constant", "train.steps=4", "train.log_every=1", "train.checkpoint_every=2"}),
        dir / name);
    how.emplace_back("train.steps=8");
    return train::resume(dir / name, how);
  };
  const results::Summary on = trained("on", {}), again = trained("again", {"loader.reset_on_resume=true"});
  CHECK(on.fingerprint != again.fingerprint);
  CHECK(on.steps == again.steps);
  // Batches come from the counters: the first update after the stop sees the first batch again, on other weights.
  const auto batch_that_came = [&](const char* name) { return train::open_checkpoint(dir / name).counters().micro_batch; };
  CHECK(batch_that_came("on") == 8);
  CHECK(batch_that_came("again") == 4);
  CHECK(weights(dir / "on") != weights(dir / "again"));
  // Told nothing more, the run goes on as it was told before: two further updates in one part or two.
  const results::Summary further = train::resume(dir / "again", {"train.steps=10"});
  CHECK(batch_that_came("again") == 6);
  CHECK(train::resume(dir / "on", {"train.steps=10"}).fingerprint != further.fingerprint);
  CHECK(train::resume(dir / "again", {"train.steps=8"}).fingerprint == further.fingerprint);  // which it has behind it
  CHECK_THROWS_WITH_AS(train::resume(dir / "on", {"loader.reset_on_resume=yes"}), doctest::Contains("true or false"), core::ConfigError);
}

TEST_CASE("a rate given to a resumed run holds from there on; lr.base_from_checkpoint keeps the old one") {
  const Scratch dir;
  const auto rate_after = [&](const char* name, std::vector<std::string> how) {
    train::train_new(*tiny_run("v8_lowrank_vv", {"optim.schedule=constant", "optim.warmup_steps=0", "train.steps=2", "train.log_every=1"}),
                     dir / name);
    how.emplace_back("train.steps=4");
    train::resume(dir / name, how);
    train::resume(dir / name, {"train.steps=5"});  // told nothing more: as before
    std::vector<double> rates;
    for (const core::Value& row : results::read_metrics(dir / name))
      if (row.at("kind").as_string() == "train") rates.push_back(row.at("lr").as_double());
    return rates;
  };
  CHECK(rate_after("plain", {}) == std::vector<double>(5, 0.01));
  CHECK(rate_after("given", {"optim.lr=0.002"}) == std::vector<double>{0.01, 0.01, 0.002, 0.002, 0.002});
  CHECK(rate_after("kept", {"optim.lr=0.002", "lr.base_from_checkpoint=true"}) == std::vector<double>(5, 0.01));
  CHECK(weights(dir / "plain") == weights(dir / "kept"));
  CHECK(weights(dir / "plain") != weights(dir / "given"));
}

TEST_CASE("a signal finishes the update, saves and says how to go on; the resumed run equals an undisturbed one") {
  const Scratch dir;
  const auto plain = tiny_run("gpt2", {"train.steps=300"});
  CHECK_NOTHROW(train::train_new(*plain, dir / "straight"));
  const pid_t child = fork();
  if (child == 0) {
    try {
      train::train_new(*tiny_run("gpt2", {"train.steps=300"}), dir / "stopped");
      _exit(0);
    } catch (const core::Error& e) {
      _exit(static_cast<int>(e.code()));
    } catch (...) {
      _exit(99);
    }
  }
  while (!core::file_exists(dir / "stopped/metrics.jsonl") || core::file_size(dir / "stopped/metrics.jsonl") < 400) usleep(2000);
  kill(child, SIGTERM);
  int status = 0;
  waitpid(child, &status, 0);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 6);
  CHECK(results::read_summary(dir / "stopped")->status == "interrupted");
  const results::Summary s = train::resume(dir / "stopped", {});
  CHECK(s.status == "done");
  CHECK(weights(dir / "straight") == weights(dir / "stopped"));
  CHECK(rows(dir / "straight") == rows(dir / "stopped"));
}

TEST_CASE("a run that is done is left as it is by a resumption that trains nothing") {
  const Scratch dir;
  train::train_new(*tiny_run("gpt2", {"train.steps=3"}), dir / "run");
  train::train_new(*tiny_run("gpt2", {"train.steps=0", "train.seconds=0.05"}), dir / "timed");
  for (const std::string name : {"run", "timed"}) {
    INFO(name);
    const auto files = [&] {
      std::string all;
      for (const char* file : {"config.toml", "metrics.jsonl", "summary.json", "log.txt"})
        all += core::read_file(dir / (name + "/" + file));
      return all;
    };
    const std::string before = files();
    for (const std::vector<std::string>& words : {std::vector<std::string>{}, {"optim.lr=5"}, {"train.keep_checkpoints=1"}}) {
      const results::Summary s = train::resume(dir / name, words);
      CHECK(s.status == "done");
      CHECK(files() == before);
    }
  }
  CHECK(train::resume(dir / "run", {"train.steps=4", "optim.lr=0.005"}).steps == 4);
}

TEST_CASE("a run of which no checkpoint verifies, or whose config.toml says nothing, is not resumed") {
  const Scratch dir;
  train::train_new(*tiny_run("gpt2", {"train.steps=3"}), dir / "run");
  const std::string summary = core::read_file(dir / "run/summary.json");
  std::filesystem::resize_file(train::open_checkpoint(dir / "run").directory + "/model.safetensors", 100);
  CHECK_THROWS_WITH_AS(train::resume(dir / "run", {"train.steps=9"}), doctest::Contains("none of its checkpoints verifies"),
                       core::DataError);
  CHECK(core::read_file(dir / "run/summary.json") == summary);
  std::filesystem::remove_all(dir / "run/checkpoints");
  CHECK(train::resume(dir / "run", {}).steps == 3);
  for (const char* content : {"", "name = \"x\"\n", "arch = 3\nname = \"x\"\n", "arch = \"gpt2\"\nname = \"x\"\n[tarin]\nsteps = 3\n"}) {
    INFO(std::string(content));
    core::write_file(core::real_files(), dir / "run/config.toml", content);
    CHECK_THROWS_WITH_AS(train::resume(dir / "run", {}), doctest::Contains((dir / "run/config.toml").c_str()), core::ConfigError);
  }
}

TEST_CASE("a run that is to keep no checkpoint has them while it lasts and none once it is done") {
  const Scratch dir;
  const auto with = tiny_run("gpt2", {"train.steps=9", "optim.schedule=constant"});
  const auto without =
      tiny_run("gpt2", {"train.steps=9", "optim.schedule=constant", "train.checkpoint_every=3", "train.keep_checkpoints=0"});
  CHECK(without->fingerprint() == with->fingerprint());
  const double loss = *train::train_new(*with, dir / "with").val_loss;
  CHECK(*train::train_new(*without, dir / "without").val_loss == loss);
  CHECK(core::list_directory(dir / "without/checkpoints").empty());
  CHECK(results::read_summary(dir / "without")->status == "done");
  CHECK_THROWS_WITH_AS(train::resume(dir / "without", {}), doctest::Contains("kept no weights (train.keep_checkpoints=0)"),
                       core::ConfigError);
  const auto stopped = tiny_run(
      "gpt2", {"train.steps=6", "optim.schedule=constant", "train.checkpoint_every=3"});  // as if it had been killed after update 6
  train::train_new(*stopped, dir / "stopped");
  std::filesystem::remove(dir / "stopped/summary.json");
  CHECK(*train::resume(dir / "stopped", {"train.steps=9", "train.keep_checkpoints=0"}).val_loss == loss);
  CHECK(core::list_directory(dir / "stopped/checkpoints").empty());
}

TEST_CASE("a wall-clock limited run replays its recorded multipliers and its decision to stop") {
  const Scratch dir;
  const auto config =
      tiny_run("v8_lowrank_vv", {"train.steps=0", "train.seconds=0.5", "train.checkpoint_every=3", "train.keep_checkpoints=1000"});
  const results::Summary s = train::train_new(*config, dir / "run");
  CHECK(s.steps > 0);
  const auto before = rows(dir / "run");
  const std::string final_weights = weights(dir / "run");
  // Back to an early checkpoint, as after a kill: the rest must be repeated exactly, whatever the clock says now.
  for (const std::string& name : core::list_directory(dir / "run/checkpoints"))
    if (name != "step-000000003") std::filesystem::remove_all(dir / "run/checkpoints/" + name);
  const results::Summary again = train::resume(dir / "run", {});
  CHECK(again.steps == s.steps);
  CHECK(rows(dir / "run") == before);
  CHECK(weights(dir / "run") == final_weights);
}

TEST_CASE("a loss that stops being finite ends the run with the culprit named; weights and counters stay those before") {
  const Scratch dir;
  const auto config = tiny_run("gpt2", {"optim.lr=1e30", "optim.clip=0", "optim.schedule=constant", "train.checkpoint_every=1"});
  try {
    train::train_new(*config, dir / "run");
    FAIL("the run should have diverged");
  } catch (const core::Error& e) {
    CHECK(e.code() == core::Exit::diverged);
    CHECK(std::string(e.what()).find("is not finite") != std::string::npos);
    CHECK(std::string(e.what()).find("update ") != std::string::npos);
  }
  const auto s = results::read_summary(dir / "run");
  REQUIRE(s.has_value());
  CHECK(s->status == "failed");
  CHECK(s->exit_code == 3);
  CHECK(train::open_checkpoint(dir / "run").counters().step == s->steps);
}

TEST_CASE("a NaN in one weight stops the update before weights, moments or counters change, and is named") {
  const auto config = tiny_run("v8_lowrank_vv");
  const train::Machine machine = train::prepare_machine(config->train);
  const arch::Built built = train::build_model(*config, machine, 260);
  const auto adam = optim::make_optimizer(*built.params, config->optim);
  const train::Batch batch = train::to_batch({1, 4, {1, 2, 3, 4}, {2, 3, 4, 5}}, machine.device);
  for (const std::string bad : {"hops.1.interaction.U", "hops.0.propagation.decay_logit"}) {
    const at::NoGradGuard no_grad;
    Tensor slot = built.params->view(built.params->values(), *built.params->find(bad));
    const Tensor good = slot.clone();
    slot.view({-1})[0].fill_(std::nan(""));
    const Tensor before = built.params->values().clone();
    const at::AutoGradMode with_grad(true);
    CHECK_THROWS_WITH_AS(train::training_step(built, *adam, {&batch, 1}, 0.1, 1, {41}),
                         doctest::Contains(("update 41: parameter '" + bad).c_str()), core::NumericsError);
    CHECK(at::equal(built.params->values().nan_to_num(7), before.nan_to_num(7)));
    for (const optim::NamedState& s : adam->state()) CHECK(s.value.abs().max().item().toDouble() == 0);
    CHECK(adam->updates() == 0);
    const at::NoGradGuard again;
    slot.copy_(good);
  }
}

TEST_CASE("contradictions are refused before anything is created") {
  const Scratch dir;
  const auto refused = [&](const char* arch, std::initializer_list<const char*> options, const char* words) {
    const auto config = tiny_run(arch, options);
    INFO(std::string(words));
    CHECK_THROWS_WITH_AS(train::train_new(*config, dir / "run"), doctest::Contains(words), core::ConfigError);
    CHECK_FALSE(core::directory_exists(dir / "run"));
  };
  refused("gpt2", {"model.n_head=3"}, "does not divide");
  refused("gpt2", {"model.max_seq_len=8"}, "max_seq_len");
  refused("v8_lowrank_vv", {"model.vocab_size=100"}, "smaller than the data");
  refused("v8_lowrank_vv", {"model.activation=geru"}, "gelu");
  refused("v8_lowrank_vv", {"train.batch_tokens=33"}, "multiple");
  refused("v8_lowrank_vv", {"train.tokens=3"}, "does not pay");
}

TEST_CASE("a used directory, a second process and an option that cannot change are refused") {
  const Scratch dir;
  train::train_new(*tiny_run("v8_lowrank_vv", {"train.steps=2"}), dir / "run");
  CHECK_THROWS_WITH_AS(train::train_new(*tiny_run("v8_lowrank_vv"), dir / "run"), doctest::Contains("--resume"), core::ConfigError);
  CHECK_THROWS_WITH_AS(train::resume(dir / "run", {"optim.beta1=0.5"}), doctest::Contains("cannot change"), core::ConfigError);
  CHECK_THROWS_WITH_AS(train::resume(dir / "run", {"train.steps=3", "train.steps=4"}), doctest::Contains("train.steps is given twice"),
                       core::ConfigError);
  const core::DirectoryLock lock(dir / "run");
  const pid_t child = fork();
  if (child == 0) {
    try {
      train::resume(dir / "run", {});
      _exit(0);
    } catch (const core::ConfigError&) {
      _exit(2);
    } catch (...) {
      _exit(99);
    }
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WEXITSTATUS(status) == 2);
}
