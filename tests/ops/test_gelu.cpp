#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/ones_like.h>
#include <doctest/doctest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <vector>

#include "assay/ops/gelu/gelu.h"
#include "ops/op_case.h"
#include "ops/random_tensor.h"

using namespace assay;
using testing::OpCase;
using testing::Tensors;

namespace {

// Odd sizes leave a short last vector; more elements than one task takes.
OpCase gelu_case(std::vector<int64_t> shape, double spread) {
  OpCase o;
  o.name = "tanh_gelu of " + std::to_string(shape.size()) + " axes, spread " + std::to_string(spread);
  o.inputs = [=](uint64_t seed) { return Tensors{testing::random_tensor(shape, seed, "u") * spread}; };
  o.op = [](const Tensors& x) { return ops::tanh_gelu(x[0]); };
  o.op_bf16 = [](const Tensors& x) { return ops::tanh_gelu(x[0].to(at::kBFloat16)); };
  o.reference = [](const Tensors& x) { return at::gelu(x[0], "tanh"); };
  o.composite_bf16 = [](const Tensors& x) { return at::gelu(x[0].to(at::kBFloat16), "tanh"); };
  o.meta = false;
  o.registered = false;
  return o;
}

}  // namespace

TEST_CASE("tanh_gelu agrees with ATen's, values and gradients") {
  for (const OpCase& c : {gelu_case({3, 5, 7}, 1), gelu_case({1}, 3), gelu_case({2, 9000}, 1)}) testing::check_op(c, at::Device(at::kCPU));
}

TEST_CASE("errors of tanh_gelu are those of ATen's at most") {
  for (double spread : {1.0, 3.0}) testing::check_accuracy(gelu_case({96, 1024}, spread), at::Device(at::kCPU));
}

TEST_CASE("tanh_gelu far from zero is u or 0, without a NaN") {
  const std::vector<float> values = {-1e15F, -3e4F, -30, 30, 3e4F, 1e15F}, want = {0, 0, 0, 30, 3e4F, 1e15F}, slopes = {0, 0, 0, 1, 1, 1};
  const int64_t n = static_cast<int64_t>(values.size());
  const Tensor u = at::empty({n}, at::TensorOptions().dtype(at::kFloat));
  std::copy(values.begin(), values.end(), u.data_ptr<float>());
  const at::AutoGradMode grad(true);
  const Tensor leaf = u.detach().requires_grad_(true), y = ops::tanh_gelu(leaf);
  torch::autograd::backward({y}, {at::ones_like(u)});
  for (int64_t i = 0; i < n; ++i) {
    INFO(values[static_cast<size_t>(i)]);
    CHECK(y.data_ptr<float>()[i] == want[static_cast<size_t>(i)]);
    CHECK(leaf.grad().data_ptr<float>()[i] == slopes[static_cast<size_t>(i)]);
  }
}
