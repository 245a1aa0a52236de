#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <doctest/doctest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "arch/helpers.h"

using namespace assay;
using testing::configured;
using testing::ids;

namespace {

// Every parameter theta_j = beta + 0.4 sin(1.7 j + 0.9 c), c the sum of the name's letters mod 97: published with the model's answers.
void fill_by_formula(arch::Built& b) {
  const at::NoGradGuard no_grad;
  for (const auto& e : b.params->entries()) {
    int sum = 0;
    for (char letter : e.name) sum += letter;
    const std::string last = e.name.substr(e.name.find_last_of('.') == std::string::npos ? 0 : e.name.find_last_of('.') + 1);
    const double beta = last.find("scale") != std::string::npos ? 1 : 0;
    Tensor t = at::empty({e.numel}, at::TensorOptions().dtype(at::kFloat));
    for (int64_t j = 0; j < e.numel; ++j)
      t.data_ptr<float>()[j] = static_cast<float>(beta + 0.4 * std::sin(1.7 * static_cast<double>(j) + 0.9 * (sum % 97)));
    b.params->view(b.params->values(), e).copy_(t.view(e.shape));
  }
}

struct Published {
  double loss, grad_norm, d_logit_scale;
  std::vector<double> logits;
};

Published answers(double rms_eps) {
  arch::Built b =
      arch::build(arch::find_architecture("v8_lowrank_vv"),
                  configured({{"vocab_size", 32}, {"num_hops", 2}, {"interaction_rank", 4}, {"rms_eps", rms_eps}}), {32, 8}, {});
  fill_by_formula(b);
  const Tensor u = ids(2, 8, [](int64_t r, int64_t t) { return (11 * r + 5 * t + 3 * t * t) % 32; });
  const Tensor y = ids(2, 8, [](int64_t r, int64_t t) { return (3 * ((11 * r + 5 * t + 3 * t * t) % 32) + 1) % 32; });
  const Tensor logits = b.model->forward(u), loss = b.model->loss(logits, y);
  torch::autograd::backward({loss}, {});
  Published p{loss.item().toDouble(),
              at::linalg_vector_norm(b.params->grads()).item().toDouble(),
              b.params->find("logit_scale")->value.grad().item().toDouble(),
              {}};
  for (int64_t i = 0; i < 4; ++i) p.logits.push_back(logits[1][7][i].item().toDouble());
  CHECK(b.params->count() == 779);
  return p;
}

}  // namespace

TEST_CASE("v8 gives the published numbers: loss, logits, gradient norm, both epsilons") {
  const Published p = answers(1.1920928955078125e-07);
  CHECK(p.loss == doctest::Approx(5.018387).epsilon(2e-6));
  CHECK(p.grad_norm == doctest::Approx(3.18352).epsilon(1e-5));
  CHECK(p.d_logit_scale == doctest::Approx(2.95790).epsilon(1e-5));
  const std::vector<double> want{1.10932, 5.28098, 0.08199, 0.04738};
  for (size_t i = 0; i < 4; ++i) CHECK(p.logits[i] == doctest::Approx(want[i]).epsilon(1e-4));
  CHECK(answers(0.0078125).loss == doctest::Approx(4.970748).epsilon(2e-6));
}

TEST_CASE("v8 has the published parameter counts at every rank") {
  for (const auto& [rank, count] : std::vector<std::pair<int64_t, int64_t>>{{8, 163881}, {16, 294953}, {32, 557097}, {64, 1081385}}) {
    const arch::Built b = arch::build(arch::find_architecture("v8_lowrank_vv"), configured({{"interaction_rank", rank}}), {1024, 16}, {});
    CHECK(b.params->count() == count);
  }
}

TEST_CASE("v8's reversed mask sees the future, which the default never does") {
  for (bool reversed : {false, true}) {
    const auto b = testing::random_model("v8_lowrank_vv", {{"num_hops", 2}, {"reversed_mask", reversed}}, 40, 24);
    const auto [before, after] = testing::logits_before_change(b, 40, 24, 16);
    CHECK(at::equal(before, after) == !reversed);
  }
}

TEST_CASE("an unknown activation is an error by default and gelu in compatibility mode") {
  const auto& v8 = arch::find_architecture("v8_lowrank_vv");
  CHECK_THROWS_WITH_AS(arch::build(v8, configured({{"activation", "rellu"}}), {32, 8}, {}), doctest::Contains("relu"), core::ConfigError);
  CHECK_NOTHROW(arch::build(v8, configured({{"activation", "rellu"}, {"activation_fallback", true}}), {32, 8}, {}));
}
