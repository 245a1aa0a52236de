#include <ATen/ops/linalg_vector_norm.h>
#include <doctest/doctest.h>

#include <cmath>

#include "arch/helpers.h"
#include "assay/arch/transformer/orthogonal_update.h"

using namespace assay;
using arch::transformer::orthogonal_update;
using arch::transformer::OrthogonalUpdate;

namespace {

Tensor row(std::initializer_list<double> values) {
  Tensor t = at::empty({static_cast<int64_t>(values.size())}, at::TensorOptions().dtype(at::kDouble));
  std::copy(values.begin(), values.end(), t.data_ptr<double>());
  return t;
}

Tensor random(std::vector<int64_t> shape, const char* name) {
  Tensor t = at::empty(shape, at::TensorOptions().dtype(at::kDouble));
  const core::Stream stream(2, name);
  for (int64_t i = 0; i < t.numel(); ++i) t.data_ptr<double>()[i] = stream.normal(static_cast<uint64_t>(i));
  return t;
}

double largest(const Tensor& t) { return t.abs().max().item().toDouble(); }

}  // namespace

TEST_CASE("the printed example: intended and notebook form of one row") {
  const Tensor x = row({3, 4}), y = row({1, 2}), a = row({0.5, 0.5}), b = row({0.25, 0.25});
  CHECK(largest(orthogonal_update(x, y, a, b, OrthogonalUpdate::intended) - row({3.17, 4.56})) < 1e-12);
  CHECK(largest(orthogonal_update(x, y, a, b, OrthogonalUpdate::notebook) - row({2.87666667, 4.19333333})) < 1e-8);
}

TEST_CASE("with factors of 1 the intended form is the plain residual; along and across are orthogonal, so beta alone moves the radius") {
  const Tensor x = random({50, 8}, "x"), y = random({50, 8}, "y"), one = at::zeros({8}, x.options()) + 1;
  CHECK(largest(orthogonal_update(x, y, one, one, OrthogonalUpdate::intended) - (x + y)) < 1e-14);
  const Tensor c = (x * y).sum(-1, true) / x.square().sum(-1, true), across = y - c * x;
  CHECK(largest((across * x).sum(-1)) < 1e-13);
  const Tensor out = orthogonal_update(x, y, one * 0.7, one * 0.4, OrthogonalUpdate::intended);
  const Tensor want = (c * 0.4 + 1).square() * x.square().sum(-1, true) + across.square().sum(-1, true) * (0.7 * 0.7);
  CHECK(largest(out.square().sum(-1, true) - want) < 1e-12);
}

TEST_CASE("the notebook's parallel term does not change when stream and branch are doubled, and diverges as the branch's sum vanishes") {
  const Tensor x = random({50, 8}, "x"), y = random({50, 8}, "y"), zero = at::zeros({8}, x.options()), one = zero + 1;
  const auto term = [&](const Tensor& s, const Tensor& t) { return orthogonal_update(s, t, zero, one, OrthogonalUpdate::notebook) - s; };
  CHECK(largest(term(x, y) - term(x * 2, y * 2)) < 1e-11);
  CHECK(largest(term(row({1, 2, 0, 0, 0, 0, 0, 0}), row({1, -1 + 1e-9, 0, 0, 0, 0, 0, 0}))) > 1e8);
  const Tensor c = (x * y).sum(-1) / x.square().sum(-1);
  const Tensor by_norm = orthogonal_update(x, y, zero, one, OrthogonalUpdate::y_norm) - x;
  CHECK(largest(at::linalg_vector_norm(by_norm, 2, {-1}) - c.abs()) < 1e-13);
}

TEST_CASE("orthpar has the published parameter counts: 526252 a block, 5120 factors in all") {
  const auto count = [](const char* residual, int64_t layers) {
    return arch::build(arch::find_architecture("orthpar"),
                       testing::configured({{"residual", residual}, {"n_embd", int64_t{256}}, {"n_head", int64_t{8}}, {"n_layer", layers}}),
                       {64, 16}, {})
        .params->count();
  };
  CHECK(count("plain", 2) - count("plain", 1) == 526252);
  CHECK(count("intended", 2) - count("intended", 1) == 526252 + 1024);
  CHECK(count("intended", 1) - count("plain", 1) == 5120 / 5);
}

TEST_CASE("the published initial factors: normal around 0.25 and 0.15, about 31 % and 27 % of them negative") {
  const arch::Built b =
      arch::build(arch::find_architecture("orthpar"),
                  testing::configured({{"n_embd", int64_t{1024}}, {"n_head", int64_t{8}}, {"n_layer", int64_t{1}}}), {8, 4}, {});
  const auto negative = [&](const char* name) { return (b.params->find(name)->value < 0).to(at::kDouble).mean().item().toDouble(); };
  CHECK(negative("blocks.0.alpha_attn") == doctest::Approx(0.309).epsilon(0.15));
  CHECK(negative("blocks.0.beta_mlp") == doctest::Approx(0.274).epsilon(0.15));
  const arch::Built fixed = arch::build(
      arch::find_architecture("orthpar"),
      testing::configured({{"alpha_init", 1.0}, {"alpha_init_sd", 0.0}, {"beta_init", 1.0}, {"beta_init_sd", 0.0}}), {8, 4}, {});
  CHECK(fixed.params->find("blocks.0.alpha_attn")->value.min().item().toDouble() == 1);
}
