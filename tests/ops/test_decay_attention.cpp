#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/log_sigmoid.h>
#include <doctest/doctest.h>
#include <torch/csrc/autograd/autograd.h>

#include "assay/ops/decay_attention/decay_attention.h"
#include "assay/tensor/product.h"
#include "ops/op_case.h"
#include "ops/random_tensor.h"

using namespace assay;
using testing::OpCase;
using testing::Tensors;

namespace {

// Products of bfloat16 tensors, the decay in float32: as under autocast.
Tensor composite_bf16(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& logit) {
  const auto narrow = [](const Tensor& t) { return t.to(at::kBFloat16); };
  const Tensor position = at::arange(q.size(2), logit.options().requires_grad(false));
  const Tensor distance = position.unsqueeze(1) - position.unsqueeze(0) - 1;
  const Tensor w = (distance.clamp_min(0) * at::log_sigmoid(logit).view({-1, 1, 1})).exp() * (distance >= 0);
  return (narrow(q).matmul(narrow(k).transpose(-1, -2)) * w).to(at::kBFloat16).matmul(narrow(v)).to(at::kFloat);
}

OpCase decay_case(int64_t B, int64_t H, int64_t T, int64_t c, int64_t d, double logit) {
  OpCase o;
  o.name = "decay_attention B=" + std::to_string(B) + " H=" + std::to_string(H) + " T=" + std::to_string(T) + " c=" + std::to_string(c) +
           " d=" + std::to_string(d) + " logit=" + std::to_string(logit);
  o.inputs = [=](uint64_t seed) {
    return Tensors{testing::random_tensor({B, H, T, c}, seed, "q"), testing::random_tensor({B, H, T, c}, seed, "k"),
                   testing::random_tensor({B, H, T, d}, seed, "v"), testing::random_tensor({H}, seed, "logit") * 0.3 + logit};
  };
  o.op = [](const Tensors& x) { return ops::decay_attention(x[0], x[1], x[2], x[3]); };
  o.op_bf16 = [](const Tensors& x) { return ops::decay_attention(x[0], x[1], x[2], x[3], true); };
  o.reference = [](const Tensors& x) { return ops::decay_attention_reference(x[0], x[1], x[2], x[3]); };
  o.composite_bf16 = [](const Tensors& x) { return composite_bf16(x[0], x[1], x[2], x[3]); };
  return o;
}

// Awkward on purpose: tile edges (64), odd and prime lengths, more than one head, c != d, forgetting at once and never.
std::vector<OpCase> cases() {
  return {decay_case(2, 1, 2, 3, 5, 3),    decay_case(1, 1, 3, 1, 1, 0),   decay_case(2, 3, 63, 8, 4, 3),   decay_case(1, 2, 64, 5, 7, 2),
          decay_case(3, 1, 65, 16, 16, 4), decay_case(1, 1, 130, 9, 2, 3), decay_case(2, 2, 200, 4, 6, -2), decay_case(1, 1, 97, 4, 4, 20)};
}

}  // namespace

TEST_CASE("decay attention agrees with its reference on the CPU, values and gradients") {
  for (const OpCase& c : cases()) testing::check_op(c, at::Device(at::kCPU));
}

TEST_CASE("decay attention agrees with its reference on CUDA, values and gradients") {
  const at::Device* cuda = testing::cuda_or_skip();
  if (cuda == nullptr) return;
  for (const OpCase& c : cases()) testing::check_op(c, *cuda);
}

namespace {

// q, k, v and the upstream gradient in bfloat16 beside a float32 logit, against float64 of the same numbers.
void check_bf16_operands(const OpCase& c, const at::Device& device) {
  INFO(c.name);
  const Tensors start = c.inputs(1);
  const auto run = [&](at::ScalarType operand, at::ScalarType logit) {
    Tensors x;
    for (size_t i = 0; i < start.size(); ++i) {
      const Tensor same = i < 3 ? start[i].to(at::kBFloat16) : start[i].to(at::kFloat);
      x.push_back(same.to(device, i < 3 ? operand : logit).requires_grad_(true));
    }
    const Tensor o = operand == at::kDouble ? c.reference(x) : ops::decay_attention(x[0], x[1], x[2], x[3], true);
    CHECK((o.scalar_type() == operand));
    torch::autograd::backward({o}, {start[2].to(at::kBFloat16).to(device, operand)});
    Tensors result{o.detach()};
    for (const Tensor& t : x) result.push_back(t.grad());
    return result;
  };
  const at::AutoGradMode grad(true);
  const Tensors got = run(at::kBFloat16, at::kFloat), want = run(at::kDouble, at::kDouble);
  for (size_t i = 0; i < got.size(); ++i) {
    INFO("result " << i);
    const Tensor off = (got[i].to(at::kDouble) - want[i]).square().sum().sqrt(), size = want[i].square().sum().sqrt();
    CHECK(off.item().toDouble() <= 2e-2 * size.item().toDouble());
  }
}

}  // namespace

TEST_CASE("decay attention takes bfloat16 operands on the CPU, natively multiplied or not") {
  const tensor::ProductChoice before = tensor::product_choice();
  for (const bool native : {false, true}) {
    tensor::set_product_choice({before.fp32, native});
    for (const OpCase& c : {decay_case(2, 3, 63, 8, 4, 3), decay_case(1, 2, 130, 16, 16, 2)}) check_bf16_operands(c, at::Device(at::kCPU));
  }
  tensor::set_product_choice(before);
}

TEST_CASE("CUDA: decay attention takes bfloat16 operands") {
  const at::Device* cuda = testing::cuda_or_skip();
  if (cuda == nullptr) return;
  for (const OpCase& c : {decay_case(2, 3, 63, 8, 4, 3), decay_case(1, 2, 130, 16, 16, 2)}) check_bf16_operands(c, *cuda);
}

TEST_CASE("the equation holds: a serial sum over earlier positions gives the same") {
  const int64_t T = 7, C = 2;
  const Tensor q = testing::random_tensor({1, 1, T, C}, 3, "q"), k = testing::random_tensor({1, 1, T, C}, 3, "k"),
               v = testing::random_tensor({1, 1, T, C}, 3, "v");
  const Tensor o = ops::decay_attention(q, k, v, at::full({1}, 1.5, q.options()));
  const double lambda = 1 / (1 + std::exp(-1.5));
  const auto at_ = [&](const Tensor& t, int64_t i, int64_t j) { return t.data_ptr<double>()[i * C + j]; };
  for (int64_t t = 0; t < T; ++t)
    for (int64_t j = 0; j < C; ++j) {
      double sum = 0;
      for (int64_t s = 0; s < t; ++s)
        sum +=
            std::pow(lambda, static_cast<double>(t - s - 1)) * (at_(q, t, 0) * at_(k, s, 0) + at_(q, t, 1) * at_(k, s, 1)) * at_(v, s, j);
      CHECK(at_(o, t, j) == doctest::Approx(sum).epsilon(1e-12));
    }
}

TEST_CASE("no position sees itself or the future: changing v at s >= t leaves o_t bit-identical") {
  const Tensor q = testing::random_tensor({1, 1, 80, 4}, 5, "q"), k = testing::random_tensor({1, 1, 80, 4}, 5, "k");
  Tensor v = testing::random_tensor({1, 1, 80, 4}, 5, "v");
  const Tensor logit = at::full({1}, 3.0, q.options()), before = ops::decay_attention(q, k, v, logit);
  v.narrow(2, 50, 30).mul_(-7);
  const Tensor after = ops::decay_attention(q, k, v, logit);
  CHECK(at::equal(before.narrow(2, 0, 51), after.narrow(2, 0, 51)));
  CHECK_FALSE(at::equal(before.narrow(2, 51, 1), after.narrow(2, 51, 1)));
}

TEST_CASE("a prefix does not depend on what follows, to rounding") {
  const Tensor q = testing::random_tensor({1, 2, 150, 4}, 6, "q"), k = testing::random_tensor({1, 2, 150, 4}, 6, "k"),
               v = testing::random_tensor({1, 2, 150, 4}, 6, "v");
  const Tensor logit = at::full({2}, 2.0, q.options()), whole = ops::decay_attention(q, k, v, logit);
  const auto head = [](const Tensor& t) { return t.narrow(2, 0, 70); };
  CHECK(at::allclose(head(whole), ops::decay_attention(head(q), head(k), head(v), logit), 1e-12, 1e-12));
}

TEST_CASE("length 1 gives zero, and decay logits of +-40 stay finite with zero or full memory") {
  const Tensor one = testing::random_tensor({2, 1, 1, 3}, 7, "q");
  CHECK(ops::decay_attention(one, one, one, at::full({1}, 3.0, one.options())).abs().max().item().toDouble() == 0);
  const Tensor q = testing::random_tensor({1, 1, 100, 4}, 8, "q");
  for (double logit : {-40.0, 40.0}) {
    const Tensor l = at::full({1}, logit, q.options());
    const Tensor o = ops::decay_attention(q.to(at::kFloat), q.to(at::kFloat), q.to(at::kFloat), l.to(at::kFloat));
    CHECK(at::isfinite(o).all().item().toBool());
    CHECK(at::allclose(o.to(at::kDouble), ops::decay_attention_reference(q, q, q, l), 1e-4, 1e-4));
  }
}

TEST_CASE("an empty batch gives an empty result") {
  const Tensor empty = at::empty({0, 1, 5, 3}, at::TensorOptions().dtype(at::kFloat));
  CHECK(ops::decay_attention(empty, empty, empty, at::full({1}, 1.0)).sizes() == empty.sizes());
}

TEST_CASE("wrong shapes and dtypes are refused by name, and so is a second derivative") {
  const Tensor x = testing::random_tensor({1, 1, 4, 3}, 9, "x"), logit = at::full({1}, 1.0, x.options());
  CHECK_THROWS_WITH_AS(ops::decay_attention(x, x.narrow(2, 0, 3), x, logit), doctest::Contains("[decay_attention] q and k"), c10::Error);
  CHECK_THROWS_WITH_AS(ops::decay_attention(x, x, x, at::full({2}, 1.0, x.options())), doctest::Contains("decay_logit"), c10::Error);
  CHECK_THROWS_WITH_AS(ops::decay_attention(x, x, x.to(at::kFloat), logit), doctest::Contains("dtypes differ"), c10::Error);
  Tensor leaf = x.clone().requires_grad_(true);
  CHECK_THROWS_WITH_AS(ops::decay_attention_backward(leaf, x, x, x, logit, false), doctest::Contains("second derivatives"), c10::Error);
}

TEST_CASE("errors of decay attention are those of the composite at most") {
  for (const at::Device* device : testing::devices()) testing::check_accuracy(decay_case(2, 2, 200, 64, 64, 2.0), *device);
}
