#include "assay/bench/generation.h"

#include <doctest/doctest.h>

#include "arch/helpers.h"

using namespace assay;

namespace {

core::Value timed(const char* name, const std::vector<std::string>& options) {
  train::RunConfig config(arch::find_architecture(name));
  for (const char* a : {"train.batch=1", "train.threads=1", "train.product=aten", "model.vocab_size=40"})
    config.settings.set_assignment(a, core::Source::command_line);
  for (const std::string& a : options) config.settings.set_assignment("model." + a, core::Source::command_line);
  return bench::bench_generation(config, {.tokens = 48, .early = 100, .late = 1500});
}

int64_t memory(const core::Value& v, size_t i) { return v.at("contexts").as_array()[i].at("memory_bytes").as_int(); }

}  // namespace

TEST_CASE("going on costs the same late as early, from a memory of the same size") {
  const core::Value v = timed("v9_linattn", {"num_steps=2", "state_dim=8", "inner_dim=16"});
  CHECK(v.at("contexts").as_array()[1].at("context").as_int() == 1500);
  CHECK(v.at("contexts").as_array()[0].at("tokens_per_s").as_double() > 0);
  CHECK(memory(v, 0) == memory(v, 1));
  // A machine with other work is noisy; reading the context anew would cost 15 times as much.
  CHECK(v.at("ratio").as_double() < 3);
  const core::Value grows = timed("v14_data_dependent", {"num_steps=1", "k_active=12", "n_fourier_basis=4", "n_channels=8"});
  CHECK(memory(grows, 1) > 10 * memory(grows, 0));
}

TEST_CASE("a model without a recurrent form is refused") {
  CHECK_THROWS_WITH_AS(timed("gpt2", {"n_layer=1", "max_seq_len=1600", "n_embd=16", "n_head=2"}), doctest::Contains("no recurrent form"),
                       core::ConfigError);
  CHECK_THROWS_WITH_AS(timed("v9_linattn", {"reversed_mask=true"}), doctest::Contains("no recurrent form"), core::ConfigError);
}
