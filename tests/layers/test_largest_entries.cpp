#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/round.h>
#include <doctest/doctest.h>

#include "assay/layers/largest_entries.h"
#include "ops/random_tensor.h"

using namespace assay;

TEST_CASE("the largest entries in one pass are those by tensor operations, with many ties and without") {
  for (const int64_t k : {1, 5, 16, 33}) {
    const Tensor x = testing::random_tensor({3, 7, 33}, static_cast<uint64_t>(k), "x"), tied = at::round(x * 2);
    for (const Tensor& t : {x, tied, x.to(at::kFloat), tied.to(at::kFloat), tied.transpose(0, 1)}) {
      const Tensor mask = layers::largest_entries(t, k);
      CHECK(at::equal(mask, layers::largest_entries_by_calls(t, k)));
      CHECK((mask.sum(-1) == k).all().item().toBool());
    }
  }
}
