#include <ATen/ops/equal.h>
#include <doctest/doctest.h>

#include <cerrno>
#include <fstream>

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/train/checkpoint.h"
#include "train/helpers.h"

using namespace assay;
using testing::Scratch;
using testing::tiny_run;

namespace {

struct Scene {
  std::unique_ptr<train::RunConfig> config = tiny_run("v8_lowrank_vv");
  train::Machine machine = train::prepare_machine(config->train);
  arch::Built built = train::build_model(*config, machine, 260);
  std::unique_ptr<optim::Optimizer> optimizer = optim::make_optimizer(*built.params, config->optim);
  train::Counters counters;
  Scene() { counters.product = "aten"; }
  void save(core::FileSystem& fs, const std::string& dir, int64_t step) {
    counters.step = step;
    train::save_checkpoint(fs, dir, *config, built, *optimizer, counters);
  }
};

void flip_byte(const std::string& path, int64_t offset) {
  std::fstream f(path, std::ios::in | std::ios::out | std::ios::binary);
  f.seekg(offset);
  const char c = static_cast<char>(f.get());
  f.seekp(offset);
  f.put(static_cast<char>(c ^ 1));
}

}  // namespace

TEST_CASE("what was saved is loaded: weights, moments and counters") {
  const Scratch dir;
  Scene a;
  for (const optim::NamedState& s : a.optimizer->state())
    if (s.name.starts_with("exp_avg/")) Tensor(s.value).fill_(0.25);
  a.counters.micro_batch = 12;
  a.save(core::real_files(), dir.path(), 3);
  Scene b;
  b.built.params->values().zero_();
  const train::FoundCheckpoint found = train::open_checkpoint(dir.path());
  train::load_checkpoint(found, b.built, b.optimizer.get());
  CHECK(at::equal(a.built.params->values(), b.built.params->values()));
  for (const optim::NamedState& s : b.optimizer->state())
    CHECK(s.value.eq(s.name.starts_with("exp_avg/") ? 0.25 : 0.0).all().item().toBool());
  CHECK(found.counters().step == 3);
  CHECK(found.counters().micro_batch == 12);
}

TEST_CASE("a damaged checkpoint is passed over for the previous good one") {
  for (const std::string file : {"model.safetensors", "optimizer.safetensors", "manifest.json"}) {
    INFO(file);
    const Scratch dir;
    Scene s;
    s.save(core::real_files(), dir.path(), 1);
    s.save(core::real_files(), dir.path(), 2);
    const std::string path = dir / ("checkpoints/step-000000002/" + file);
    SUBCASE("one byte flipped") { flip_byte(path, 40); }
    SUBCASE("truncated") { std::filesystem::resize_file(path, std::filesystem::file_size(path) - 2); }
    SUBCASE("gone") { std::filesystem::remove(path); }
    const auto found = train::newest_checkpoint(dir.path());
    REQUIRE(found.has_value());
    CHECK(found->counters().step == 1);
  }
}

TEST_CASE("whatever call fails during a save, the old checkpoint stays intact and is found") {
  int64_t faults = 0;
  for (int error : {ENOSPC, EIO}) {
    for (int64_t n = 1;; ++n) {
      const Scratch dir;
      Scene s;
      s.save(core::real_files(), dir.path(), 1);
      core::FailingFiles failing(n, error);
      bool failed = false;
      try {
        s.save(failing, dir.path(), 2);
      } catch (const core::ResourceError& e) {
        failed = true;
        CHECK(e.code() == core::Exit::resource);
      }
      const auto found = train::newest_checkpoint(dir.path());
      REQUIRE(found.has_value());
      const int64_t step = found->counters().step;
      CHECK((step == 1 || step == 2));
      if (!failed) CHECK(step == 2);
      if (failing.calls() < n) break;
      ++faults;
    }
  }
  CHECK(faults > 20);
}

TEST_CASE("weights of another shape, a missing tensor and a tensor too many are refused by name") {
  const Scratch dir;
  Scene s;
  s.save(core::real_files(), dir.path(), 1);
  const std::string path = train::open_checkpoint(dir.path()).directory + "/model.safetensors";
  const auto other = tiny_run("v8_lowrank_vv", {"model.interaction_rank=4"});
  arch::Built narrow = train::build_model(*other, s.machine, 260);
  CHECK_THROWS_WITH_AS(train::load_weights(path, narrow), doctest::Contains("interaction.U"), core::DataError);
  const auto deep = tiny_run("v8_lowrank_vv", {"model.num_hops=3"});
  arch::Built deeper = train::build_model(*deep, s.machine, 260);
  CHECK_THROWS_AS(train::load_weights(path, deeper), core::DataError);
}
