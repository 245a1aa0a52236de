#include <ATen/ops/equal.h>
#include <doctest/doctest.h>
#include <torch/csrc/autograd/autograd.h>

#include "assay/core/error.h"
#include "assay/tensor/params.h"

using namespace assay;
using tensor::Params;

TEST_CASE("named tensors are views of one flat buffer, each on a 64-byte boundary, padding zero") {
  Params p(at::kCPU, at::kFloat, 1);
  const Tensor a = p.add("a", {3, 5}, tensor::normal(1)), b = p.add("b", {}, tensor::constant(2)),
               c = p.add("c", {17}, tensor::uniform(0.5));
  const Tensor before = a.clone();
  p.seal();
  CHECK(p.count() == 15 + 1 + 17);
  CHECK(p.values().size(0) == 16 + 16 + 32);
  CHECK(at::equal(a, before));
  for (const auto& e : p.entries()) {
    CHECK(e.offset % 16 == 0);
    CHECK(e.value.data_ptr<float>() == p.values().data_ptr<float>() + e.offset);
    CHECK(e.value.grad().data_ptr<float>() == p.grads().data_ptr<float>() + e.offset);
    CHECK(e.value.requires_grad());
  }
  CHECK(p.values()[15].item().toDouble() == 0);
  CHECK(b.item().toDouble() == 2);
  CHECK(c.abs().max().item().toDouble() <= 0.5);
}

TEST_CASE("backward accumulates into the flat gradient in place") {
  Params p(at::kCPU, at::kFloat, 1);
  const Tensor a = p.add("a", {4}, tensor::constant(3)), b = p.add("b", {2}, tensor::constant(1));
  p.seal();
  const float* address = p.grads().data_ptr<float>();
  torch::autograd::backward({(a * a).sum() + b.sum()}, {});
  torch::autograd::backward({b.sum()}, {});
  CHECK(a.grad().data_ptr<float>() == address);
  CHECK(p.grads()[0].item().toDouble() == 6);
  CHECK(p.grads()[16].item().toDouble() == 2);
}

TEST_CASE("initial values depend on seed and name alone, and have the stated law") {
  const auto draw = [](uint64_t seed, const char* name) {
    Params p(at::kCPU, at::kFloat, seed);
    p.add("before", {7}, tensor::normal(1));
    const Tensor t = p.add(name, {20000}, tensor::normal(0.02));
    p.seal();
    return t.detach().clone();
  };
  CHECK(at::equal(draw(1, "w"), draw(1, "w")));
  CHECK_FALSE(at::equal(draw(1, "w"), draw(2, "w")));
  CHECK_FALSE(at::equal(draw(1, "w"), draw(1, "v")));
  CHECK(draw(1, "w").std().item().toDouble() == doctest::Approx(0.02).epsilon(0.03));
  CHECK(std::abs(draw(1, "w").mean().item().toDouble()) < 0.001);
}

TEST_CASE("a name twice and a parameter after sealing are refused") {
  Params p(at::kCPU, at::kFloat, 1);
  p.add("a", {1}, tensor::constant(0));
  CHECK_THROWS_AS(p.add("a", {1}, tensor::constant(0)), core::ConfigError);
  p.seal();
  CHECK_THROWS_AS(p.add("b", {1}, tensor::constant(0)), std::logic_error);
}
