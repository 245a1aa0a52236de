#include <ATen/ops/stack.h>
#include <doctest/doctest.h>

#include "arch/helpers.h"

using namespace assay;

namespace {

// Largest difference between going on token by token and the whole sequence at once, relative to the largest logit.
double difference(const arch::Built& b, const Tensor& ids_BT) {
  const at::NoGradGuard no_grad;
  const Tensor whole = b.model->forward(ids_BT);
  arch::Memory memory;
  std::vector<Tensor> logits;
  for (int64_t t = 0; t < ids_BT.size(1); ++t) logits.push_back(b.model->next(ids_BT.select(1, t), memory));
  CHECK(memory.position == ids_BT.size(1));
  return ((at::stack(logits, 1) - whole).abs().max() / whole.abs().max()).item().toDouble();
}

}  // namespace

TEST_CASE("every vocabulary-space variant goes on token by token to the logits of the whole, to 1e-5 in float32 and 1e-12 in float64") {
  const Tensor u = testing::ids(2, 33, [](int64_t r, int64_t t) { return (7 * r + 5 * t + t * t) % 40; });
  for (const auto& [name, options] : testing::small_vocab_options()) {
    INFO(name);
    for (const at::ScalarType dtype : {at::kFloat, at::kDouble}) {
      const arch::Built b = testing::random_model(name, testing::options_of(options), 40, 33, dtype);
      REQUIRE(b.model->recurrent());
      CHECK(difference(b, u) < (dtype == at::kDouble ? 1e-12 : 1e-5));
    }
  }
}

TEST_CASE("the memory has a fixed size, but for v1's and v14's keys and values") {
  const at::NoGradGuard no_grad;
  for (const auto& [name, options] : testing::small_vocab_options()) {
    INFO(name);
    const arch::Built b = testing::random_model(name, testing::options_of(options), 40, 16);
    arch::Memory memory;
    const auto size_after = [&](int64_t tokens) {
      for (int64_t t = 0; t < tokens; ++t) b.model->next(testing::ids(1, 1, [&](int64_t, int64_t) { return t % 40; }).select(1, 0), memory);
      int64_t n = 0;
      for (const Tensor& slot : memory.slots) n += slot.numel();
      return n;
    };
    const int64_t early = size_after(2);
    CHECK((size_after(10) == early) == (name != "v1_shared_attn" && name != "v14_data_dependent"));
  }
}

TEST_CASE("a model that reads the future, or whose memory depends on the final length, does not go on token by token") {
  const Tensor one = testing::ids(1, 1, [](int64_t, int64_t) { return 3; }).select(1, 0);
  arch::Memory memory;
  const arch::Built reversed = testing::random_model("v9_linattn", {{"num_steps", 1}, {"reversed_mask", true}}, 40, 8);
  CHECK_FALSE(reversed.model->recurrent());
  CHECK_THROWS_AS(reversed.model->next(one, memory), core::ConfigError);
  const arch::Built clamped = testing::random_model("v11a_mixed_ops", {{"num_steps", 1}, {"ema_clamp", true}}, 40, 8);
  CHECK_THROWS_AS(clamped.model->next(one, memory), core::ConfigError);
  const arch::Built gpt2 = testing::random_model("gpt2", {{"n_layer", 1}}, 40, 8);
  CHECK_THROWS_AS(gpt2.model->next(one, memory), core::ConfigError);
}
