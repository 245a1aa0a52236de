#include <ATen/ops/equal.h>
#include <doctest/doctest.h>

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/train/checkpoint.h"
#include "assay/train/step.h"
#include "train/helpers.h"

using namespace assay;
using testing::Scratch;

namespace {

std::unique_ptr<train::RunConfig> configured(const char* arch, const std::vector<const char*>& options) {
  auto config = std::make_unique<train::RunConfig>(arch::find_architecture(arch));
  for (const char* a : {"train.batch=2", "train.seq_len=8", "train.threads=1", "train.product=aten", "model.n_layer=2", "model.n_head=2",
                        "model.n_embd=8", "optim.lr=0.01"})
    config->settings.set_assignment(a, core::Source::command_line);
  for (const char* a : options) config->settings.set_assignment(a, core::Source::command_line);
  return config;
}

struct Training {
  arch::Built built;
  std::unique_ptr<optim::Optimizer> optimizer;
  Training(const train::RunConfig& c, const train::Machine& m)
      : built(train::build_model(c, m, 12)), optimizer(optim::make_optimizer(*built.params, c.optim)) {}

  void run(const train::RunConfig& c, int64_t first, int64_t last) {
    for (int64_t n = first; n < last; ++n) {
      Tensor ids = at::empty({2, 8}, at::TensorOptions().dtype(at::kLong));
      for (int64_t i = 0; i < 16; ++i) ids.data_ptr<int64_t>()[i] = (i * i + 5 * n + 3 * i) % 12;
      const train::Batch batch{ids, (ids * 3 + 1).remainder(12)};
      train::training_step(built, *optimizer, {&batch, 1}, c.optim.lr, c.optim.clip, {n, 20}, {true, 7, n});
    }
  }
};

}  // namespace

TEST_CASE("a run goes on bit for bit from a checkpoint with every rule, statistics and dropout of the model included") {
  const std::vector<std::pair<const char*, std::vector<const char*>>> cases{
      {"ngpt", {"optim.name=adamw", "model.dual_norm=true", "model.dropout=branch", "model.projection=time"}},
      {"ngpt", {"optim.name=muon", "optim.muon_normuon=true", "model.gate=static", "model.projection=drift"}},
      {"ngpt_official", {"optim.name=adam", "optim.beta2=0.95"}},
      {"orthpar", {"optim.name=lion", "optim.weight_decay=0.1"}},
      {"gpt2", {"optim.name=sgd", "optim.momentum=0.9", "optim.conditioning=learnt"}},
      {"gpt2", {"optim.name=sgd"}}};
  for (const auto& [arch, options] : cases) {
    INFO(arch << " " << options.front());
    const auto config = configured(arch, options);
    const train::Machine machine = train::prepare_machine(config->train);
    const Scratch dir;
    Training whole(*config, machine), half(*config, machine), resumed(*config, machine);
    whole.run(*config, 0, 12);
    half.run(*config, 0, 5);
    train::Counters counters;
    counters.step = 5;
    counters.optimizer_updates = half.optimizer->updates();
    train::save_checkpoint(core::real_files(), dir.path(), *config, half.built, *half.optimizer, counters);
    train::load_checkpoint(train::open_checkpoint(dir.path()), resumed.built, resumed.optimizer.get());
    resumed.run(*config, 5, 12);
    CHECK(at::equal(whole.built.params->values(), resumed.built.params->values()));
    for (size_t i = 0; i < whole.built.params->states().size(); ++i)
      CHECK(at::equal(whole.built.params->states()[i].value, resumed.built.params->states()[i].value));
  }
}

TEST_CASE("a checkpoint of another rule is refused") {
  const auto adam = configured("gpt2", {}), sgd = configured("gpt2", {"optim.name=sgd", "optim.momentum=0.9"});
  const train::Machine machine = train::prepare_machine(adam->train);
  const Scratch dir;
  Training a(*adam, machine), b(*sgd, machine);
  train::save_checkpoint(core::real_files(), dir.path(), *adam, a.built, *a.optimizer, {});
  CHECK_THROWS_AS(train::load_checkpoint(train::open_checkpoint(dir.path()), b.built, b.optimizer.get()), core::DataError);
}
