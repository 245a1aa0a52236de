#include <doctest/doctest.h>

#include "arch/helpers.h"
#include "assay/inspect/generate.h"

using namespace assay;

TEST_CASE("a recurrent model continues from its memory as it would from the whole text") {
  const at::NoGradGuard no_grad;
  const arch::Built b = testing::random_model("v9_linattn", testing::small_options("v9_linattn"), 40, 64);
  inspect::Sampling greedy;
  greedy.tokens = 20;
  greedy.temperature = 0;
  greedy.vocab = 30;
  const std::vector<uint16_t> ids = inspect::generate(b, {3, 1, 4, 1, 5}, 2, greedy, [](uint16_t) {});
  REQUIRE(ids.size() == 25);
  const Tensor logits = b.model->forward(testing::ids(1, 24, [&](int64_t, int64_t t) { return ids[static_cast<size_t>(t)]; }));
  for (int64_t t = 4; t < 24; ++t) CHECK(logits[0][t].narrow(0, 0, 30).argmax().item().toLong() == ids[static_cast<size_t>(t + 1)]);
}
