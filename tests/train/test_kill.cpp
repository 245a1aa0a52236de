// kill -9 at random moments: whatever was half done, `--resume` ends with the weights and metrics of an undisturbed run.
#include <doctest/doctest.h>

#include <csignal>

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

}  // namespace

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
