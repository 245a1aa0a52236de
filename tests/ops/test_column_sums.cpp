#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <doctest/doctest.h>

#include "assay/ops/column_sums/column_sums.h"
#include "ops/op_case.h"
#include "ops/random_tensor.h"

using namespace assay;
using testing::OpCase;
using testing::random_tensor;
using testing::Tensors;

namespace {

OpCase column_sums_case(int64_t rows, int64_t n) {
  OpCase o;
  o.name = "column sums of " + std::to_string(rows) + " x " + std::to_string(n);
  o.inputs = [=](uint64_t seed) { return Tensors{random_tensor({rows, n}, seed, "x")}; };
  o.op = [](const Tensors& x) { return ops::column_sums(x[0]); };
  o.reference = [](const Tensors& x) { return x[0].sum(0); };
  o.op_bf16 = [](const Tensors& x) { return ops::column_sums(x[0].to(at::kBFloat16)); };
  o.composite_bf16 = [](const Tensors& x) { return x[0].to(at::kBFloat16).sum(at::IntArrayRef{0}, false, at::kFloat); };
  return o;
}

// Around a load of 16 bytes, a warp's columns, a block's rows, a launch's blocks; more rows than all blocks hold at once.
void check(const at::Device& device) {
  for (const auto& [rows, n] :
       std::vector<std::array<int64_t, 2>>{{1, 1}, {3, 8}, {33, 7}, {65, 264}, {17, 1028}, {40000, 3}, {20000, 40}, {700, 2304}})
    testing::check_op(column_sums_case(rows, n), device);
}

}  // namespace

TEST_CASE("column sums agree with their reference on the CPU") { check(at::Device(at::kCPU)); }

TEST_CASE("column sums agree with their reference on CUDA") {
  const at::Device* cuda = testing::cuda_or_skip();
  if (cuda != nullptr) check(*cuda);
}

TEST_CASE("errors of column sums are those of the composite at most") {
  for (const at::Device* device : testing::devices()) testing::check_accuracy(column_sums_case(600, 4608), *device);
}

TEST_CASE("column sums of rows of one sign are float64's to rounding; of no rows they are 0; a vector is refused") {
  const Tensor x = random_tensor({5000, 130}, 1, "x").abs(), sums = ops::column_sums(x.to(at::kFloat).t().contiguous().t());
  CHECK(at::allclose(sums.to(at::kDouble), x.to(at::kFloat).to(at::kDouble).sum(0), 2e-7, 0));
  CHECK(ops::column_sums(x.narrow(0, 0, 0)).abs().max().item().toDouble() == 0);
  CHECK_THROWS_WITH_AS(ops::column_sums(x[0]), doctest::Contains("[column_sums] x must be [N, n]"), c10::Error);
}
