#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <doctest/doctest.h>
#include <torch/csrc/autograd/autograd.h>

#include "assay/ops/sphere_step/sphere_step.h"
#include "ops/op_case.h"
#include "ops/random_tensor.h"

using namespace assay;
using testing::OpCase;
using testing::random_tensor;
using testing::Tensors;

namespace {

constexpr double kEps = 1e-8;

enum Parts { kState = 0, kBranch = 1, kAlpha = 2, kGate = 4 };

OpCase sphere_case(std::vector<int64_t> shape, int parts) {
  OpCase o;
  const int64_t n = shape.back();
  o.name = "sphere_step n=" + std::to_string(n) + " parts " + std::to_string(parts);
  o.inputs = [=](uint64_t seed) {
    Tensors x{random_tensor(shape, seed, "x") * 2};
    if (parts & kBranch) x.push_back(random_tensor(shape, seed, "rho"));
    if (parts & kAlpha) x.push_back(random_tensor({1}, seed, "alpha") * 0.1 + 0.4);
    if (parts & kGate) x.push_back(random_tensor({n}, seed, "gate"));
    return x;
  };
  const auto branch = [=](const Tensors& x) {
    ops::SphereBranch b;
    size_t at = 1;
    if (parts & kBranch) b.rho = x[at++];
    if (parts & kAlpha) b.alpha = x[at++];
    if (parts & kGate) b.gate = x[at++];
    return b;
  };
  o.op = [=](const Tensors& x) { return ops::sphere_step(x[0], branch(x), kEps, false).y; };
  o.reference = [=](const Tensors& x) { return ops::sphere_step_reference(x[0], branch(x), kEps); };
  return o;
}

// A bfloat16 branch, and the state in bfloat16 beside itself, which CUDA alone takes and gives.
OpCase narrow_case(std::vector<int64_t> shape) {
  OpCase o = sphere_case(shape, kBranch | kAlpha | kGate);
  const auto branch = [](const Tensors& x) { return ops::SphereBranch{x[1].to(at::kBFloat16), x[2], x[3]}; };
  o.op_bf16 = [=](const Tensors& x) {
    const ops::OnSphere s = ops::sphere_step(x[0], branch(x), kEps, true);
    return s.y + s.narrow.to(at::kFloat);
  };
  o.composite_bf16 = [=](const Tensors& x) {
    const Tensor y = ops::sphere_step_reference(x[0], branch(x), kEps);
    return y + y.to(at::kBFloat16).to(at::kFloat);
  };
  // Both see the sum of the state and its copy.
  o.op = [op = o.op](const Tensors& x) { return op(x) * 2; };
  o.reference = [reference = o.reference](const Tensors& x) { return reference(x) * 2; };
  return o;
}

// Widths around a pack, a warp, several warps and beyond; more rows than the blocks hold at once.
std::vector<OpCase> cases() {
  std::vector<OpCase> all;
  for (int parts : {int{kState}, int{kBranch}, kBranch | kAlpha, kBranch | kGate, kBranch | kAlpha | kGate}) {
    all.push_back(sphere_case({3, 7}, parts));
    all.push_back(sphere_case({2, 3, 768}, parts));
  }
  for (int64_t n : {int64_t{2}, int64_t{128}, int64_t{260}, int64_t{513}, int64_t{1024}, int64_t{2048}, int64_t{2052}})
    all.push_back(sphere_case({2, n}, kBranch | kAlpha | kGate));
  all.push_back(sphere_case({600, 12}, kBranch | kAlpha | kGate));
  return all;
}

}  // namespace

TEST_CASE("the sphere step agrees with its reference on the CPU, values and gradients") {
  for (const OpCase& c : cases()) testing::check_op(c, at::Device(at::kCPU));
}

TEST_CASE("the sphere step agrees with its reference on CUDA, values and gradients") {
  const at::Device* cuda = testing::cuda_or_skip();
  if (cuda == nullptr) return;
  for (const OpCase& c : cases()) testing::check_op(c, *cuda);
}

TEST_CASE("CUDA: a bfloat16 branch, and the state in bfloat16 beside itself") {
  const at::Device* cuda = testing::cuda_or_skip();
  if (cuda == nullptr) return;
  for (int64_t n : {int64_t{40}, int64_t{768}, int64_t{2500}}) {
    INFO("n=" << n);
    const Tensor x = random_tensor({70, n}, 1, "x"), rho = random_tensor({70, n}, 1, "rho").to(at::kBFloat16),
                 alpha = at::full({}, 0.3, x.options()), gate = random_tensor({n}, 1, "gate");
    const auto run = [&](bool narrow) {
      const auto wide = narrow ? at::kFloat : at::kDouble;
      const auto leaf = [&](const Tensor& t, at::ScalarType dtype) { return t.to(*cuda, dtype).requires_grad_(true); };
      Tensors in{leaf(x, wide), leaf(rho, narrow ? at::kBFloat16 : at::kDouble), leaf(alpha, wide), leaf(gate, wide)};
      const ops::SphereBranch branch{in[1], in[2], in[3]};
      ops::OnSphere y;
      if (narrow) y = ops::sphere_step(in[0], branch, kEps, true);
      else y.y = y.narrow = ops::sphere_step_reference(in[0], branch, kEps);
      // The gradient of narrow arrives in bfloat16, that of y beside it.
      torch::autograd::backward({(y.y.square() * y.y).sum() + (y.narrow * in[1].detach()).sum().to(wide)}, {});
      Tensors result{y.y.detach(), y.narrow.detach()};
      for (const Tensor& t : in) result.push_back(t.grad());
      return result;
    };
    const Tensors got = run(true), want = run(false);
    CHECK((got[1].scalar_type() == at::kBFloat16));
    CHECK((got[3].scalar_type() == at::kBFloat16));
    for (size_t i = 0; i < got.size(); ++i) {
      INFO("result " << i);
      const Tensor off = (got[i].to(at::kDouble) - want[i]).square().sum().sqrt(), size = want[i].square().sum().sqrt();
      CHECK(off.item().toDouble() < 1e-2 * size.item().toDouble());
    }
  }
}

TEST_CASE("errors of the sphere step are those of the composite at most") {
  for (const at::Device* device : testing::devices())
    testing::check_accuracy(device->is_cpu() ? sphere_case({96, 1024}, kBranch | kAlpha | kGate) : narrow_case({96, 1024}), *device);
}

TEST_CASE("rows that the sphere step returns have length 1, and the gradient lies across them") {
  Tensor x = (random_tensor({5, 64}, 1, "x") * 3).requires_grad_(true);
  const Tensor y = ops::sphere_step(x, {}, 0, false).y;
  CHECK(at::allclose(y.square().sum(-1), at::full({5}, 1.0, y.options()), 1e-12, 1e-12));
  torch::autograd::backward({(y * random_tensor({5, 64}, 2, "up")).sum()}, {});
  CHECK((x.grad() * y.detach()).sum(-1).abs().max().item().toDouble() < 1e-12);
}

TEST_CASE("wrong arguments of the sphere step are refused by name") {
  const Tensor x = random_tensor({2, 4}, 1, "x"), one = at::full({1}, 1.0, x.options());
  const auto step = [&](const ops::SphereBranch& b, bool bf16 = false) { return ops::sphere_step(x, b, kEps, bf16); };
  CHECK_THROWS_WITH_AS(step({}, true), doctest::Contains("bfloat16 results come from"), c10::Error);
  CHECK_THROWS_WITH_AS(step({.rho = x.narrow(1, 0, 3)}), doctest::Contains("[sphere_step] rho must be"), c10::Error);
  CHECK_THROWS_WITH_AS(step({.alpha = one}), doctest::Contains("belong to a branch"), c10::Error);
  CHECK_THROWS_WITH_AS(step({.rho = x, .alpha = x}), doctest::Contains("alpha must be one"), c10::Error);
  CHECK_THROWS_WITH_AS(step({.rho = x, .gate = one}), doctest::Contains("gate must be"), c10::Error);
}
