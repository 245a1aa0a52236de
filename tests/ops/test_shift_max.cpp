#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/isnan.h>
#include <doctest/doctest.h>
#include <torch/csrc/autograd/autograd.h>

#include <limits>

#include "assay/ops/shift_max/shift_max.h"
#include "ops/op_case.h"
#include "ops/random_tensor.h"

using namespace assay;
using testing::OpCase;
using testing::random_tensor;
using testing::Tensors;

namespace {

OpCase shift_max_case(std::vector<int64_t> shape, int64_t k, double tau) {
  OpCase o;
  o.name = "shift_max n=" + std::to_string(shape.back()) + " k=" + std::to_string(k);
  o.inputs = [=](uint64_t seed) { return Tensors{random_tensor(shape, seed, "z") * 3}; };
  o.op = [=](const Tensors& x) { return ops::shift_max(x[0], k, tau); };
  o.reference = [=](const Tensors& x) { return ops::shift_max_reference(x[0], k, tau); };
  return o;
}

// Rows that share a warp, those of one warp, and wider ones; more rows than a block has.
std::vector<OpCase> cases() {
  return {shift_max_case({1, 1}, 1, 1),    shift_max_case({70, 3}, 2, 0.5), shift_max_case({2, 5, 8}, 1, 1),
          shift_max_case({301, 9}, 1, 2),  shift_max_case({3, 32}, 4, 1),   shift_max_case({3, 33}, 3, 1),
          shift_max_case({150, 40}, 1, 1), shift_max_case({2, 255}, 2, 1),  shift_max_case({3, 1000}, 1, 0.7),
          shift_max_case({2, 2047}, 4, 1), shift_max_case({2, 2048}, 1, 1), shift_max_case({2, 2052}, 3, 1)};
}

}  // namespace

TEST_CASE("ShiftMax agrees with its reference on the CPU, values and gradients") {
  for (const OpCase& c : cases()) testing::check_op(c, at::Device(at::kCPU));
}

TEST_CASE("ShiftMax agrees with its reference on CUDA, values and gradients") {
  const at::Device* cuda = testing::cuda_or_skip();
  if (cuda == nullptr) return;
  for (const OpCase& c : cases()) testing::check_op(c, *cuda);
}

TEST_CASE("errors of ShiftMax are those of the composite at most") {
  for (const at::Device* device : testing::devices())
    for (int64_t k : {1, 3}) testing::check_accuracy(shift_max_case({96, 1024}, k, 1), *device);
}

TEST_CASE("ShiftMax of equal logits: uniform, with the slope 1 at u = 0") {
  const Tensor z = at::full({1, 4}, 3.0, at::TensorOptions().dtype(at::kDouble)).requires_grad_(true);
  const Tensor p = ops::shift_max(z, 2, 1);
  CHECK((p - 0.25).abs().max().item().toDouble() == 0);
  torch::autograd::backward({p.select(1, 0).sum()}, {});
  CHECK(z.grad()[0][0].item().toDouble() == doctest::Approx(3.0 / 16));
  CHECK(z.grad()[0][1].item().toDouble() == doctest::Approx(-1.0 / 16));
}

TEST_CASE("ShiftMax: a row with a value that is not finite is NaN, other rows are not touched; no rows are no work") {
  Tensor z = random_tensor({3, 40}, 1, "z");
  z[1][7] = std::numeric_limits<double>::infinity();
  const Tensor p = ops::shift_max(z, 1, 1), bad = at::isnan(p).all(1), any = at::isnan(p).any(1);
  for (int64_t row = 0; row < 3; ++row) {
    CHECK(bad[row].item().toBool() == (row == 1));
    CHECK(any[row].item().toBool() == (row == 1));
  }
  CHECK(ops::shift_max(z.narrow(0, 0, 0), 1, 1).numel() == 0);
}

TEST_CASE("ShiftMax: wrong arguments are refused by name") {
  const Tensor z = random_tensor({2, 4}, 1, "z");
  CHECK_THROWS_WITH_AS(ops::shift_max(z, 0, 1), doctest::Contains("[shift_max] the sharpness k must be at least 1, got 0"), c10::Error);
  CHECK_THROWS_WITH_AS(ops::shift_max(z, 1, 0), doctest::Contains("temperature tau must be more than 0"), c10::Error);
  CHECK_THROWS_WITH_AS(ops::shift_max(z.to(at::kLong), 1, 1), doctest::Contains("[shift_max] z must be"), c10::Error);
}
