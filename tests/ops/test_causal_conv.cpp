#include <ATen/ops/arange.h>
#include <ATen/ops/zeros.h>
#include <doctest/doctest.h>

#include <torch/csrc/autograd/autograd.h>

#include <array>
#include <vector>

#include "assay/ops/causal_conv/causal_conv.h"
#include "ops/op_case.h"
#include "ops/random_tensor.h"

using namespace assay;
using testing::OpCase;
using testing::random_tensor;
using testing::Tensors;

namespace {

OpCase conv_case(int64_t B, int64_t T, int64_t V, int64_t kernel) {
  OpCase c;
  c.name = "causal_conv T=" + std::to_string(T) + " V=" + std::to_string(V) + " kernel=" + std::to_string(kernel);
  c.inputs = [=](uint64_t seed) {
    return Tensors{random_tensor({B, T, V}, seed, "z"), random_tensor({V, 1, kernel}, seed, "w"), random_tensor({V}, seed, "b")};
  };
  c.op = [](const Tensors& x) { return ops::causal_conv(x[0], x[1], x[2]); };
  c.reference = [](const Tensors& x) { return ops::causal_conv_reference(x[0], x[1], x[2]); };
  // A bfloat16 sequence through float32 taps.
  const auto narrow = [](const Tensor& t) { return t.to(at::kBFloat16); };
  c.op_bf16 = [=](const Tensors& x) { return ops::causal_conv(narrow(x[0]), x[1], x[2]); };
  c.composite_bf16 = [=](const Tensors& x) { return narrow(ops::causal_conv_reference(narrow(x[0]), x[1], x[2])); };
  return c;
}

// Kernels longer than the sequence, of every number of registers and of none; channels around a block of them.
std::vector<OpCase> cases() {
  std::vector<OpCase> all;
  for (const auto& [T, V, kernel] : {std::array<int64_t, 3>{1, 3, 4}, {5, 2, 1}, {7, 67, 16}, {33, 130, 4}, {9, 5, 3}, {40, 3, 40}})
    all.push_back(conv_case(2, T, V, kernel));
  return all;
}

// Sequences of several pieces.
std::vector<OpCase> long_cases() {
  return {conv_case(2, 128, 3, 4), conv_case(1, 129, 2, 16), conv_case(3, 300, 2, 7), conv_case(1, 257, 1, 31)};
}

void check_bf16_sequence(const at::Device& device) {
  const Tensor z = random_tensor({2, 200, 130}, 1, "z").to(at::kBFloat16), w = random_tensor({130, 1, 16}, 1, "w"),
               b = random_tensor({130}, 1, "b");
  const auto run = [&](bool narrow) {
    const at::ScalarType wide = narrow ? at::kFloat : at::kDouble;
    Tensors in{z.detach().to(device, narrow ? at::kBFloat16 : at::kDouble), w.detach().to(device, wide), b.detach().to(device, wide)};
    for (Tensor& t : in) t.requires_grad_(true);
    const Tensor y = narrow ? ops::causal_conv(in[0], in[1], in[2]) : ops::causal_conv_reference(in[0], in[1], in[2]);
    torch::autograd::backward({y.to(wide).square().sum()}, {});
    return Tensors{y.detach(), in[0].grad(), in[1].grad(), in[2].grad()};
  };
  const Tensors got = run(true), want = run(false);
  CHECK((got[0].scalar_type() == at::kBFloat16));
  for (size_t i = 0; i < got.size(); ++i) {
    INFO("result " << i);
    const Tensor off = (got[i].to(at::kDouble) - want[i]).square().sum().sqrt(), size = want[i].square().sum().sqrt();
    CHECK(off.item().toDouble() < 1e-2 * size.item().toDouble());
  }
}

}  // namespace

TEST_CASE("the causal convolution agrees with the sum over its taps on the CPU, values and gradients") {
  for (const OpCase& c : cases()) testing::check_op(c, at::Device(at::kCPU));
}

TEST_CASE("the causal convolution agrees with the sum over its taps on CUDA, values and gradients") {
  const at::Device* cuda = testing::cuda_or_skip();
  if (cuda == nullptr) return;
  for (const OpCase& c : cases()) testing::check_op(c, *cuda);
  for (const OpCase& c : long_cases()) testing::check_op(c, *cuda);
}

TEST_CASE("a bfloat16 sequence through float32 taps") { check_bf16_sequence(at::Device(at::kCPU)); }

TEST_CASE("CUDA: a bfloat16 sequence through float32 taps") {
  const at::Device* cuda = testing::cuda_or_skip();
  if (cuda != nullptr) check_bf16_sequence(*cuda);
}

TEST_CASE("errors of the causal convolution are those of the sum over its taps at most") {
  for (const at::Device* device : testing::devices()) testing::check_accuracy(conv_case(2, 1000, 256, 16), *device);
}

TEST_CASE("the causal convolution refuses wrong arguments by name") {
  const Tensor z = random_tensor({2, 4, 3}, 1, "z"), w = random_tensor({3, 1, 2}, 1, "w"), b = random_tensor({3}, 1, "b");
  CHECK_THROWS_WITH_AS(ops::causal_conv(z[0], w, b), doctest::Contains("[causal_conv] z must be [B, T, V]"), c10::Error);
  CHECK_THROWS_WITH_AS(ops::causal_conv(z, w.narrow(0, 0, 2), b), doctest::Contains("[causal_conv] weight must be"), c10::Error);
  CHECK_THROWS_WITH_AS(ops::causal_conv(z, w, b.narrow(0, 0, 2)), doctest::Contains("[causal_conv] bias must be"), c10::Error);
}

TEST_CASE("the last tap is the present position") {
  const Tensor z = at::arange(1, 5, at::TensorOptions().dtype(at::kFloat)).view({1, 4, 1});
  const Tensor w = at::zeros({1, 1, 3});
  w[0][0][0].fill_(1);
  const Tensor y = ops::causal_conv(z, w, at::zeros({1})).view({-1});
  for (int64_t t = 0; t < 4; ++t) CHECK(y[t].item().toDouble() == (t < 2 ? 0 : t - 1));  // the first of three taps: two positions back
}
