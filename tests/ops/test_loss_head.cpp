#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/isnan.h>
#include <ATen/ops/matmul.h>
#include <doctest/doctest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "assay/ops/loss_head/linear_loss_head.h"
#include "ops/op_case.h"
#include "ops/random_tensor.h"

using namespace assay;
using testing::OpCase;
using testing::random_tensor;
using testing::Tensors;

namespace {

Tensor targets_of(const Tensor& x) {
  const core::Stream stream(7, "targets");
  Tensor y = at::empty({x.size(0), x.size(1)}, at::TensorOptions().dtype(at::kLong));
  for (int64_t i = 0; i < y.numel(); ++i)
    y.data_ptr<int64_t>()[i] = static_cast<int64_t>(stream.below(static_cast<uint64_t>(i), static_cast<uint64_t>(x.size(2))));
  return y.to(x.device());
}

OpCase head_case(int64_t B, int64_t T, int64_t V, const ops::LossHead& h, bool with_gain) {
  OpCase o;
  o.name = "loss_head B=" + std::to_string(B) + " T=" + std::to_string(T) + " V=" + std::to_string(V) +
           " norm=" + std::to_string(h.norm_eps) + " cap=" + std::to_string(h.softcap) + " z=" + std::to_string(h.z_loss) +
           " smoothing=" + std::to_string(h.smoothing);
  o.inputs = [=](uint64_t seed) {
    Tensors x{random_tensor({B, T, V}, seed, "x") * 3};
    if (with_gain) x.push_back(random_tensor({1}, seed, "gain") * 0.1 + 1.5);
    return x;
  };
  const auto call = [=](const Tensors& x, auto&& f) { return f(x[0], with_gain ? x[1] : Tensor(), targets_of(x[0]), h); };
  o.op = [=](const Tensors& x) { return call(x, ops::loss_head); };
  o.reference = [=](const Tensors& x) { return call(x, ops::loss_head_reference); };
  const auto with_logits = [](Tensors x, const Tensor& logits) {
    x[0] = logits;
    return x;
  };
  o.op_bf16 = [=, op = o.op](const Tensors& x) { return op(with_logits(x, x[0].to(at::kBFloat16))); };
  o.composite_bf16 = [=, reference = o.reference](const Tensors& x) {
    return reference(with_logits(x, x[0].to(at::kBFloat16).to(at::kFloat)));
  };
  return o;
}

// Of logits that the op itself computes: rows may lie apart in memory.
OpCase linear_case(int64_t V, const ops::LossHead& h) {
  OpCase o;
  o.name = "linear_loss_head V=" + std::to_string(V);
  o.inputs = [=](uint64_t seed) { return Tensors{random_tensor({2, 4, 24}, seed, "z"), random_tensor({V, 24}, seed, "w") * 0.5}; };
  o.op = [=](const Tensors& x) {
    return ops::linear_loss_head(x[0], x[1], targets_of(at::empty({2, 4, V}, x[0].options())), h, tensor::Precision::fp32) * 1.7;
  };
  o.op_bf16 = [=](const Tensors& x) {
    return ops::linear_loss_head(x[0], x[1], targets_of(at::empty({2, 4, V}, x[0].options())), h, tensor::Precision::bf16) * 1.7;
  };
  const auto loss_of = [=](const Tensor& logits) { return ops::loss_head_reference(logits, {}, targets_of(logits), h) * 1.7; };
  o.reference = [=](const Tensors& x) { return loss_of(at::matmul(x[0], x[1].t())); };
  o.composite_bf16 = [=](const Tensors& x) {
    return loss_of(at::matmul(x[0].to(at::kBFloat16), x[1].to(at::kBFloat16).t()).to(at::kFloat));
  };
  return o;
}
std::vector<OpCase> linear_cases() {
  return {linear_case(40, {}), linear_case(1024, {.softcap = 4}), linear_case(37, {.z_loss = 0.1, .smoothing = 0.1, .first = 1, .last = 3}),
          linear_case(2500, {}), linear_case(5003, {.z_loss = 0.01})};
}

// Widths around a vector, a warp's registers and a block's shared memory; rows that begin at odd addresses; parts of T.
std::vector<OpCase> cases() {
  const ops::LossHead plain{}, vocabulary{.norm_eps = 1e-6, .softcap = 5},
      all{.norm_eps = 1e-5, .softcap = 3, .z_loss = 1e-2, .smoothing = 0.1}, some{.softcap = 2, .first = 1, .last = 3}, z{.z_loss = 0.1},
      smooth{.smoothing = 0.2, .first = 2};
  return {head_case(1, 1, 2, plain, false),    head_case(2, 3, 7, vocabulary, true),    head_case(1, 5, 32, all, true),
          head_case(2, 4, 48, some, true),     head_case(1, 3, 129, z, false),          head_case(3, 3, 256, smooth, false),
          head_case(1, 2, 1000, all, true),    head_case(1, 3, 1024, vocabulary, true), head_case(1, 2, 2047, all, true),
          head_case(1, 2, 2052, plain, false), head_case(1, 3, 5003, all, true)};
}

}  // namespace

TEST_CASE("the loss head agrees with its reference on the CPU, values and gradients") {
  for (const OpCase& c : cases()) testing::check_op(c, at::Device(at::kCPU));
  for (const OpCase& c : linear_cases()) testing::check_op(c, at::Device(at::kCPU));
}

TEST_CASE("the loss head agrees with its reference on CUDA, values and gradients") {
  const at::Device* cuda = testing::cuda_or_skip();
  if (cuda == nullptr) return;
  for (const OpCase& c : cases()) testing::check_op(c, *cuda);
  // More rows than the blocks of a launch, which then follow each other through shared memory.
  for (const ops::LossHead& h : {ops::LossHead{}, ops::LossHead{.norm_eps = 1e-6, .softcap = 5, .z_loss = 1e-2, .smoothing = 0.1}})
    testing::check_op(head_case(1, 1300, 1101, h, h.softcap > 0), *cuda);
  // Wider than a block's shared memory in float64.
  testing::check_op(head_case(1, 2, 40003, {.softcap = 30}, true), *cuda);
}

TEST_CASE("CUDA: the loss head behind its own product agrees with its reference") {
  const at::Device* cuda = testing::cuda_or_skip();
  if (cuda == nullptr) return;
  for (const OpCase& c : linear_cases()) testing::check_op(c, *cuda);
}

TEST_CASE("CUDA: bfloat16 logits, gradient in their place") {
  const at::Device* cuda = testing::cuda_or_skip();
  if (cuda == nullptr) return;
  // 300 rows: more than a large GPU has multiprocessors, so that wide rows that begin on cache lines (50304) follow each other through shared memory.
  const Tensor sizes = (random_tensor({2, 150, 1}, 4, "sizes") * 0.3 + 2).to(*cuda);
  for (int64_t V : {int64_t{1024}, int64_t{1000}, int64_t{50257}, int64_t{50304}}) {
    const Tensor x = (random_tensor({2, 3, V}, 3, "x").to(*cuda).repeat({1, 50, 1}) * sizes).to(at::kBFloat16);
    Tensor exact = x.to(at::kDouble).requires_grad_(true);
    torch::autograd::backward({ops::loss_head_reference(exact, {}, targets_of(x), {})}, {});
    Tensor leaf = x.clone().requires_grad_(true), logits = leaf * 1;
    const Tensor loss = ops::loss_head(logits, {}, targets_of(x), {.overwrite = true});
    torch::autograd::backward({loss}, {});
    CHECK(loss.item().toDouble() ==
          doctest::Approx(ops::loss_head_reference(exact, {}, targets_of(x), {}).item().toDouble()).epsilon(1e-6));
    CHECK(at::allclose(leaf.grad().to(at::kDouble), exact.grad(), 1e-2, 1e-9));
  }
}

TEST_CASE("bfloat16 logits on the CPU, gradient beside them or in their place") {
  const ops::LossHead h{.z_loss = 0.1, .first = 1};
  const Tensor x = (random_tensor({2, 3, 77}, 3, "x") * 3).to(at::kBFloat16);
  Tensor exact = x.to(at::kDouble).requires_grad_(true);
  const Tensor want = ops::loss_head_reference(exact, {}, targets_of(x), h);
  torch::autograd::backward({want}, {});
  for (const bool overwrite : {false, true}) {
    ops::LossHead placed = h;
    placed.overwrite = overwrite;
    Tensor leaf = x.clone().requires_grad_(true), logits = leaf * 1;
    const Tensor loss = ops::loss_head(logits, {}, targets_of(x), placed);
    CHECK((loss.scalar_type() == at::kFloat));
    torch::autograd::backward({loss}, {});
    CHECK(loss.item().toDouble() == doctest::Approx(want.item().toDouble()).epsilon(1e-6));
    CHECK(at::allclose(leaf.grad().to(at::kDouble), exact.grad(), 1e-2, 1e-9));
  }
}

TEST_CASE("logits may be made part by part, with the same loss and gradients") {
  const Tensor z = random_tensor({6, 4, 24}, 1, "z"), w = random_tensor({37, 24}, 1, "w");
  const ops::LossHead h{.z_loss = 0.1, .first = 1};
  const auto run = [&](int64_t bytes) {
    Tensor leaf = z.clone().requires_grad_(true), matrix = w.clone().requires_grad_(true);
    const Tensor loss =
        ops::linear_loss_head(leaf, matrix, targets_of(at::empty({6, 4, 37}, z.options())), h, tensor::Precision::fp32, bytes);
    torch::autograd::backward({loss * 3}, {});
    return Tensors{loss.detach(), leaf.grad(), matrix.grad()};
  };
  const Tensors whole = run(ops::kLogitsBytes);
  const int64_t sequence = 4 * 37 * 8;
  for (int64_t bytes : {int64_t{1}, sequence, 2 * sequence, 5 * sequence}) {  // one, one, two and three sequences at a time
    INFO(bytes);
    const Tensors parts = run(bytes);
    for (size_t i = 0; i < whole.size(); ++i) CHECK(at::allclose(parts[i], whole[i], 1e-12, 1e-14));
  }
}

TEST_CASE("the gradient may take the place of the logits; nothing else changes") {
  const Tensor x = random_tensor({2, 4, 33}, 5, "x"), gain = at::full({1}, 1.3, x.options()).requires_grad_(true);
  const ops::LossHead h{.norm_eps = 1e-6, .softcap = 4, .first = 1, .last = 3};
  const auto run = [&](bool overwrite) {
    ops::LossHead head = h;
    head.overwrite = overwrite;
    Tensor leaf = x.clone().requires_grad_(true), state = leaf * 1;
    gain.mutable_grad() = Tensor();
    torch::autograd::backward({ops::loss_head(state, gain, targets_of(x), head)}, {});
    return std::pair{leaf.grad(), gain.grad()};
  };
  const auto [fresh, fresh_gain] = run(false);
  const auto [placed, placed_gain] = run(true);
  CHECK(at::equal(fresh, placed));
  CHECK(at::equal(fresh_gain, placed_gain));
  CHECK(fresh.select(1, 0).abs().max().item().toDouble() == 0);
  CHECK(fresh.select(1, 1).abs().max().item().toDouble() > 0);
}

TEST_CASE("without a gradient only the loss is computed, and it is the same") {
  const Tensor x = random_tensor({1, 3, 50}, 9, "x");
  const double with = ops::loss_head(x.clone().requires_grad_(true), {}, targets_of(x), {}).item().toDouble();
  const at::NoGradGuard no_grad;
  CHECK(ops::loss_head(x, {}, targets_of(x), {}).item().toDouble() == with);
}

TEST_CASE("logits of 1e4 and equal logits stay finite; a value that is not finite reaches the loss") {
  Tensor x = random_tensor({1, 2, 100}, 11, "x") * 1e4;
  CHECK(std::isfinite(ops::loss_head(x, {}, targets_of(x), {}).item().toDouble()));
  const Tensor same = at::full({1, 2, 100}, 3.0, x.options());
  CHECK(ops::loss_head(same, {}, targets_of(same), {}).item().toDouble() == doctest::Approx(std::log(100.0)).epsilon(1e-12));
  x.select(2, 40).fill_(std::nan(""));
  CHECK(std::isnan(ops::loss_head(x, {}, targets_of(x), {}).item().toDouble()));
}

TEST_CASE("wrong arguments are refused by name") {
  const Tensor x = random_tensor({1, 2, 5}, 1, "x"), y = targets_of(x);
  CHECK_THROWS_WITH_AS(ops::loss_head(x[0], {}, y, {}), doctest::Contains("[loss_head] x must be"), c10::Error);
  CHECK_THROWS_WITH_AS(ops::loss_head(x, {}, y.to(at::kInt), {}), doctest::Contains("targets must be int64"), c10::Error);
  CHECK_THROWS_WITH_AS(ops::loss_head(x, at::full({2}, 1.0, x.options()), y, {}), doctest::Contains("gain must be one"), c10::Error);
  CHECK_THROWS_WITH_AS(ops::loss_head(x, {}, y, {.first = 1, .last = 1}), doctest::Contains("positions [1, 1)"), c10::Error);
  CHECK_THROWS_WITH_AS(ops::loss_head(x, {}, at::full({1, 2}, int64_t{5}, y.options()), {}), doctest::Contains("outside the vocabulary"),
                       c10::Error);
}

TEST_CASE("logits that somebody keeps for a derivative are not overwritten in silence") {
  const Tensor leaf = random_tensor({2, 4, 33}, 5, "x").requires_grad_(true), logits = leaf.tanh();  // tanh keeps its result
  const Tensor loss = ops::loss_head(logits, {}, targets_of(logits), {.overwrite = true});
  CHECK_THROWS_WITH(torch::autograd::backward({loss}, {}), doctest::Contains("modified by an inplace operation"));
}

TEST_CASE("errors of the loss head are those of the composite at most") {
  for (const at::Device* device : testing::devices())
    for (const OpCase& c :
         {head_case(2, 48, 1024, {.norm_eps = 1e-6, .softcap = 5, .z_loss = 1e-2, .smoothing = 0.1}, true),
          head_case(2, 48, 1024, {}, false), head_case(2, 16, 5003, {}, false), linear_case(5003, {}), linear_case(5003, {.z_loss = 0.01})})
      testing::check_accuracy(c, *device);
}
