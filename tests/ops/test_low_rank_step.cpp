#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <doctest/doctest.h>

#include "assay/ops/low_rank_step/low_rank_step.h"
#include "assay/tensor/simd.h"
#include "ops/op_case.h"
#include "ops/random_tensor.h"

using namespace assay;
using testing::OpCase;
using testing::Tensors;

namespace {

ops::LowRankMap map_of(const Tensors& x, ops::Pointwise activation) { return {x[1], x[2], x[3], x[4], activation}; }

OpCase step_case(int64_t rows, int64_t V, int64_t R, ops::Pointwise activation, double size) {
  OpCase o;
  o.name = "low_rank_step rows=" + std::to_string(rows) + " V=" + std::to_string(V) + " R=" + std::to_string(R) + " activation " +
           std::to_string(static_cast<int64_t>(activation));
  o.inputs = [=](uint64_t seed) {
    return Tensors{testing::random_tensor({2, rows, V}, seed, "x"),  testing::random_tensor({V, R}, seed, "U") * size,
                   testing::random_tensor({V, R}, seed, "W") * size, testing::random_tensor({V}, seed, "diag"),
                   testing::random_tensor({V}, seed, "bias"),        testing::random_tensor({1}, seed, "c")};
  };
  o.op = [=](const Tensors& x) { return ops::low_rank_step(x[0], map_of(x, activation), x[5], 1e-5); };
  o.reference = [=](const Tensors& x) { return ops::low_rank_step_reference(x[0], map_of(x, activation), x[5], 1e-5); };
  o.meta = false;
  o.registered = false;
  return o;
}

bool vectors() { return tensor::capability() != tensor::Capability::scalar; }

}  // namespace

// Edges of tiles (24 rows, 6 of a product, a panel's columns and keys), and every activation.
TEST_CASE("a low-rank step agrees with its reference, values and gradients") {
  if (!vectors()) return;
  using ops::Pointwise;
  for (const OpCase& c : {step_case(1, 3, 1, Pointwise::none, 0.5), step_case(13, 7, 5, Pointwise::gelu, 0.3),
                          step_case(25, 65, 8, Pointwise::gelu, 0.2), step_case(30, 16, 19, Pointwise::swish, 0.2)})
    testing::check_op(c, at::Device(at::kCPU));
}

TEST_CASE("errors of a low-rank step are those of the composite at most") {
  if (!vectors()) return;
  testing::check_accuracy(step_case(100, 1024, 8, ops::Pointwise::gelu, 0.05), at::Device(at::kCPU));
  testing::check_accuracy(step_case(64, 256, 13, ops::Pointwise::none, 0.1), at::Device(at::kCPU));
}

TEST_CASE("a low-rank step refuses wrong arguments by name") {
  if (!vectors()) return;
  const Tensor x = testing::random_tensor({2, 4, 6}, 9, "x"), U = testing::random_tensor({6, 2}, 9, "U"), row = x[0][0],
               one = at::full({1}, 1.0, x.options());
  const auto step = [&](const Tensor& state, const ops::LowRankMap& map, const Tensor& c) {
    return ops::low_rank_step(state, map, c, 1e-5);
  };
  CHECK_THROWS_WITH_AS(step(x, {x, U, row, row}, one), doctest::Contains("[low_rank_step] x must"), c10::Error);
  CHECK_THROWS_WITH_AS(step(x, {U, U.t(), row, row}, one), doctest::Contains("[low_rank_step] U and W"), c10::Error);
  CHECK_THROWS_WITH_AS(step(x, {U, U, x[0], row}, one), doctest::Contains("[low_rank_step] diag and bias"), c10::Error);
  CHECK_THROWS_WITH_AS(step(x, {U, U, row, row}, row), doctest::Contains("[low_rank_step] c must"), c10::Error);
  CHECK_THROWS_WITH_AS(step(x, {U, U, row.to(at::kFloat), row}, one), doctest::Contains("dtypes"), c10::Error);
}
