// kill -9 at random moments: whatever was half done, `--resume` ends with the weights and metrics of an undisturbed run. And a signal that
// asks to stop never interrupts a thread that multiplies.
#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <fstream>

#include "assay/core/file.h"
#include "assay/core/random.h"
#include "assay/train/checkpoint.h"
#include "train/helpers.h"
#include "train/processes.h"

using namespace assay;
using testing::program;
using testing::start;
using testing::wait_for;

namespace {

std::vector<std::string> train_command(const std::string& out) {
  return {program(),
          "train",
          "--arch",
          "v8_lowrank_vv",
          "--out",
          out,
          "--threads",
          "1",
          "--steps",
          "400",
          "--batch",
          "1",
          "--seq-len",
          "16",
          "--quiet",
          "data.corpus_tokens=20000",
          "data.corpus_val_tokens=500",
          "model.num_hops=1",
          "train.checkpoint_every=7",
          "train.val_every=20",
          "train.log_every=3",
          "train.product=aten"};
}

std::string metrics_without_time(const std::string& directory) {
  std::string all;
  for (core::Value row : results::read_metrics(directory)) {
    row.erase("time");
    all += core::to_json(row) + "\n";
  }
  return all;
}

// The signals that each thread of a process blocks, as a mask.
std::vector<uint64_t> blocked_by_thread(pid_t process) {
  std::vector<uint64_t> masks;
  for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(process) + "/task")) {
    std::ifstream status(task.path() / "status");
    for (std::string line; std::getline(status, line);)
      if (line.starts_with("SigBlk:")) masks.push_back(std::stoull(line.substr(7), nullptr, 16));
  }
  return masks;
}

}  // namespace

TEST_CASE("signals that stop a run reach one thread, which does nothing else") {
  const testing::Scratch dir;
  std::vector<std::string> words = train_command(dir / "run");
  *(std::find(words.begin(), words.end(), "--steps") + 1) = "1000000";
  *(std::find(words.begin(), words.end(), "--threads") + 1) = "3";
  const pid_t child = start(words);
  while (!core::file_exists(dir / "run/metrics.jsonl") || core::file_size(dir / "run/metrics.jsonl") < 400) usleep(2000);
  const std::vector<uint64_t> masks = blocked_by_thread(child);
  CHECK(masks.size() >= 3);
  for (const int s : {SIGINT, SIGTERM, SIGUSR1, SIGUSR2}) {
    INFO(s);
    CHECK(std::count_if(masks.begin(), masks.end(), [&](uint64_t m) { return (m >> (s - 1) & 1) == 0; }) == 1);
  }
  kill(child, SIGTERM);
  CHECK(wait_for(child) == 6);
  CHECK(results::read_summary(dir / "run")->status == "interrupted");
}

TEST_CASE("twenty kills -9 at random moments: the resumed run equals an undisturbed one") {
  const testing::Scratch dir;
  REQUIRE(wait_for(start(train_command(dir / "straight"))) == 0);
  const core::Stream random(static_cast<uint64_t>(getpid()), "kill");
  int kills = 0, starts = 0;
  bool finished = false;
  // A start that is killed before it has a run directory begins anew; one that ends by itself before its moment ends the loop.
  while (!finished) {
    const bool begun = core::file_exists(dir / "killed/config.toml");
    if (!begun) std::filesystem::remove_all(dir / "killed");
    const pid_t child =
        start(begun ? std::vector<std::string>{program(), "train", "--resume", dir / "killed", "--quiet"} : train_command(dir / "killed"));
    if (kills < 20) {
      // From the first milliseconds of a start (reading, locking) to some way into training.
      usleep(static_cast<useconds_t>(1000 * (50 + 1100 * random.uniform(static_cast<uint64_t>(starts)))));
      kill(child, SIGKILL);
    }
    const int status = wait_for(child);
    ++starts;
    if (status == 128 + SIGKILL) ++kills;
    else REQUIRE(status == 0);
    finished = status == 0 && (kills >= 20 || results::read_summary(dir / "killed").has_value());
    if (status == 0 && kills < 20) {  // done too early: undo the end, keep what a kill could have left
      finished = false;
      for (const std::string& name : core::list_directory(dir / "killed/checkpoints"))
        if (name > "step-000000100") std::filesystem::remove_all(dir / "killed/checkpoints/" + name);
      if (core::list_directory(dir / "killed/checkpoints").empty()) std::filesystem::remove_all(dir / "killed");
      else std::filesystem::remove(dir / "killed/summary.json");
    }
    REQUIRE(starts < 200);
  }
  MESSAGE(kills << " kills in " << starts << " starts");
  CHECK(kills == 20);
  for (const std::string file : {"model.safetensors", "optimizer.safetensors"}) {
    INFO(file);
    CHECK(core::read_file(train::open_checkpoint(dir / "straight").directory + "/" + file) ==
          core::read_file(train::open_checkpoint(dir / "killed").directory + "/" + file));
  }
  CHECK(metrics_without_time(dir / "straight") == metrics_without_time(dir / "killed"));
}
