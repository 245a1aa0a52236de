#include <ATen/ops/equal.h>
#include <doctest/doctest.h>

#include "assay/core/random.h"
#include "assay/layers/noise.h"

using namespace assay;

TEST_CASE("noise has the bits of the counter-based generator, and a row or position keeps its own when the batch grows") {
  const uint64_t step = (uint64_t{3} << 32) + 9;
  const Tensor index = layers::position_index(3, 5, 2, at::kCPU), u = layers::uniforms(11, "noise", step, index);
  const core::Stream stream(11, "noise", step);
  for (int64_t r = 0; r < 3; ++r)
    for (int64_t t = 0; t < 5; ++t) {
      const auto block = stream.block((static_cast<uint64_t>(r) << 32) + static_cast<uint64_t>(t + 2));
      for (int64_t j = 0; j < 4; ++j)
        CHECK(u[r][t][j].item().toDouble() == (static_cast<double>(block[static_cast<size_t>(j)]) + 0.5) * 0x1p-32);
    }
  CHECK(at::equal(u.narrow(0, 1, 1).narrow(1, 1, 2), layers::uniforms(11, "noise", step, index.narrow(0, 1, 1).narrow(1, 1, 2))));
}

TEST_CASE("Gumbel noise has its mean and spread") {
  const Tensor g = layers::gumbel(layers::uniforms(5, "gumbel", 0, layers::position_index(100, 100, 0, at::kCPU)), at::kDouble);
  CHECK(g.mean().item().toDouble() == doctest::Approx(0.5772).epsilon(0.03));
  CHECK(g.var().item().toDouble() == doctest::Approx(1.6449).epsilon(0.05));
}
