#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/zeros.h>
#include <doctest/doctest.h>
#include <torch/csrc/autograd/autograd.h>

#include "assay/ops/propagation/propagation.h"
#include "assay/tensor/simd.h"
#include "ops/op_case.h"
#include "ops/random_tensor.h"

using namespace assay;
using testing::OpCase;
using testing::Tensors;

namespace {

// Products of bfloat16 tensors, all else in float32: as under autocast.
Tensor composite_bf16(const Tensors& in) {
  const auto narrow = [](const Tensor& t) { return t.to(at::kBFloat16); };
  const Tensor x = in[0], z = x * at::rsqrt(x.square().mean(-1, true) + 1e-5);
  const Tensor position = at::arange(x.size(1), in[2].options().requires_grad(false)), distance = position.unsqueeze(1) - position - 1;
  const Tensor w = (distance.clamp_min(0) * at::log_sigmoid(in[2])).exp() * (distance >= 0);
  const Tensor scores = narrow(z * in[1]).matmul(narrow(z).transpose(1, 2)) * w;
  return x + in[3] * narrow(scores).matmul(narrow(z)).to(at::kFloat);
}

OpCase propagation_case(int64_t B, int64_t T, int64_t V, double logit, double c) {
  OpCase o;
  o.name = "propagation B=" + std::to_string(B) + " T=" + std::to_string(T) + " V=" + std::to_string(V) +
           " logit=" + std::to_string(logit) + " c=" + std::to_string(c);
  o.inputs = [=](uint64_t seed) {
    return Tensors{testing::random_tensor({B, T, V}, seed, "x"), testing::random_tensor({V}, seed, "scale"),
                   testing::random_tensor({1}, seed, "logit") * 0.3 + logit, testing::random_tensor({1}, seed, "c") * 0.01 + c};
  };
  o.op = [](const Tensors& x) { return ops::propagation(x[0], x[1], x[2], x[3], 1e-5); };
  o.reference = [](const Tensors& x) { return ops::propagation_reference(x[0], x[1], x[2], x[3], 1e-5); };
  const bool bf16 = ops::propagates(at::zeros({1, T, V}, at::kFloat), true);
  if (bf16) o.op_bf16 = [](const Tensors& x) { return ops::propagation(x[0], x[1], x[2], x[3], 1e-5, true); };
  if (bf16) o.composite_bf16 = [](const Tensors& x) { return composite_bf16(x); };
  o.meta = false;
  o.registered = false;
  return o;
}

bool vectors() { return tensor::capability() != tensor::Capability::scalar; }

}  // namespace

// Edges of tiles (6 rows, a panel's columns and keys), one position, weights that vanish within the sequence and that never fade.
TEST_CASE("propagation agrees with its reference, values and gradients") {
  if (!vectors()) return;
  for (const OpCase& c :
       {propagation_case(2, 1, 3, 3, 0.5), propagation_case(2, 7, 5, 2, 0.1), propagation_case(1, 130, 65, 3, 0.02),
        propagation_case(3, 12, 64, 4, -0.1), propagation_case(1, 150, 80, -8, 0.3), propagation_case(2, 40, 131, 40, 0.05)})
    testing::check_op(c, at::Device(at::kCPU));
}

TEST_CASE("errors of propagation are those of the composite at most") {
  if (!vectors()) return;
  for (const OpCase& c : {propagation_case(2, 200, 256, 2, 0.01), propagation_case(2, 96, 1024, 3, 0.01)})
    testing::check_accuracy(c, at::Device(at::kCPU));
}

TEST_CASE("a propagation without weight hands the state through, and its weight has a gradient") {
  if (!vectors()) return;
  const at::AutoGradMode grad(true);
  const Tensor x = testing::random_tensor({2, 9, 16}, 5, "x"), scale = testing::random_tensor({16}, 5, "scale"),
               logit = at::full({1}, 2.0, x.options());
  const Tensor c = at::full({1}, 0.0, x.options()).requires_grad_(true), d = at::full({1}, 0.0, x.options()).requires_grad_(true);
  const Tensor y = ops::propagation(x, scale, logit, c, 1e-5), want = ops::propagation_reference(x, scale, logit, d, 1e-5);
  CHECK(y.equal(x));
  torch::autograd::backward({y, want}, {x, x});
  CHECK(c.grad().item().toDouble() == doctest::Approx(d.grad().item().toDouble()).epsilon(1e-10));
}

TEST_CASE("propagation refuses wrong arguments by name, and a second derivative") {
  if (!vectors()) return;
  const Tensor x = testing::random_tensor({1, 4, 3}, 9, "x"), scale = x[0][0], one = at::full({1}, 1.0, x.options());
  CHECK_THROWS_WITH_AS(ops::propagation(x[0], scale, one, one, 1e-5), doctest::Contains("[propagation] x must"), c10::Error);
  CHECK_THROWS_WITH_AS(ops::propagation(x.expand({1, 4, 3}).repeat({1, 2, 1}), scale, one, one, 1e-5), doctest::Contains("T at most"),
                       c10::Error);
  CHECK_THROWS_WITH_AS(ops::propagation(x, x[0], one, one, 1e-5), doctest::Contains("[propagation] scale"), c10::Error);
  CHECK_THROWS_WITH_AS(ops::propagation(x, scale, scale, one, 1e-5), doctest::Contains("one number each"), c10::Error);
  CHECK_THROWS_WITH_AS(ops::propagation(x, scale.to(at::kFloat), one, one, 1e-5), doctest::Contains("dtypes"), c10::Error);
}
