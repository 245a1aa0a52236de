// Each compatibility switch, what the default does and what the published code did.
#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <doctest/doctest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "arch/helpers.h"
#include "assay/arch/vocab/slice.h"
#include "assay/layers/leaky_sum.h"

using namespace assay;
using testing::ids;
using testing::merged;
using testing::options_of;
using testing::random_model;
using testing::small_options;

namespace {

arch::Built small(const std::string& name, const std::string& options, int64_t length = 24) {
  return random_model(name, merged(small_options(name), options_of(options)), 40, length);
}

Tensor tokens(int64_t length = 24) {
  return ids(2, length, [](int64_t r, int64_t t) { return (7 * r + 5 * t + t * t) % 40; });
}

Tensor logits(const arch::Built& b, int64_t length = 24) {
  const at::NoGradGuard no_grad;
  return b.model->forward(tokens(length));
}

bool attends(const std::string& name) { return name != "v1_shared_attn" && name != "v2_conv"; }

}  // namespace

TEST_CASE("switches that change results: the default and the published value differ") {
  struct Case {
    const char *name, *options, *published;
    int64_t length;
  };
  for (const Case& c :
       {Case{"v1_shared_attn", "", "rope_bf16=true", 300}, Case{"v11a_mixed_ops", "ema_normalised=false", "ema_normalised=true", 24},
        Case{"v15_aux_loss", "", "v15_entropy=true", 24}, Case{"v15_aux_loss", "", "entropy_floor=0.9", 24},
        Case{"v3_fourier_linattn", "", "score_scale=0.01", 24}, Case{"v14_data_dependent", "", "score_scale=0.01", 24},
        Case{"v8_lowrank_vv", "", "rms_eps=0.0078125", 24}, Case{"v13_with_embedding", "", "rms_eps=0.0078125", 24}}) {
    INFO(std::string(c.name) << " " << std::string(c.published));
    CHECK_FALSE(at::equal(logits(small(c.name, c.options, c.length), c.length), logits(small(c.name, c.published, c.length), c.length)));
  }
}

TEST_CASE("reversed_mask reads the future in every variant with decay attention, and the default in none") {
  for (const auto& [name, options] : testing::small_vocab_options())
    for (const bool reversed : {false, true}) {
      if (reversed && !attends(name)) continue;
      INFO(name << (reversed ? " reversed" : ""));
      const auto [before, after] = testing::logits_before_change(small(name, reversed ? "reversed_mask=true" : ""), 40, 24, 16);
      CHECK(at::equal(before, after) == !reversed);
    }
}

TEST_CASE("activations: an unknown name is an error; published code took it for gelu, and relu too except in v9, v12 and v13") {
  for (const auto& [name, options] : testing::small_vocab_options()) {
    INFO(name);
    if (arch::find_architecture(name).schema().find("activation") == nullptr) continue;
    const auto given = [&, n = name](const char* activation, bool fallback) {
      return logits(small(n, std::string("activation=") + activation + (fallback ? " activation_fallback=true" : "")));
    };
    CHECK_THROWS_WITH_AS(given("rellu", false), doctest::Contains("relu"), core::ConfigError);
    const Tensor gelu = given("gelu", false);
    CHECK(at::equal(given("rellu", true), gelu));
    const bool relu_known = name == "v9_linattn" || name == "v12_vocab_slice" || name == "v13_with_embedding";
    CHECK(at::equal(given("relu", true), gelu) == !relu_known);
    for (const char* other : {"relu", "relu2", "swish"}) CHECK_FALSE(at::equal(given(other, false), gelu));
  }
}

TEST_CASE("the leaky sum is exact at every position; the published quotient is damped early and depends on the length") {
  const Tensor z = at::ones({1, 256, 1}, at::kDouble), d = at::full({1}, 1 / (1 + std::exp(-2.0)), at::kDouble);
  const Tensor exact = layers::leaky_sum(z, d).view({-1}), clamped = layers::leaky_sum_clamped(z, d).view({-1});
  struct Row {
    int64_t t;
    double exact, clamped;
  };
  for (const Row& r :
       {Row{1, 0.880797, 8.78e-7}, Row{64, 7.386865, 0.0218648}, Row{100, 7.389033, 2.110295}, Row{110, 7.389050, 7.389053}}) {
    CHECK(exact[r.t].item().toDouble() == doctest::Approx(r.exact).epsilon(1e-6));
    CHECK(clamped[r.t].item().toDouble() == doctest::Approx(r.clamped).epsilon(1e-3));
  }
  CHECK(at::allclose(exact.narrow(0, 128, 128), clamped.narrow(0, 128, 128), 1e-6));
  // In the model: a prefix alone gives the logits of the whole, but not with the switch.
  for (const bool clamp : {false, true}) {
    const at::NoGradGuard no_grad;
    arch::Built b = small("v11a_mixed_ops", clamp ? "ema_clamp=true" : "", 64);
    for (const auto& e : b.params->entries())
      if (e.name.ends_with("decay_logits")) b.params->view(b.params->values(), e).sub_(4);
    const Tensor u = tokens(64), whole = b.model->forward(u), part = b.model->forward(u.narrow(1, 0, 20));
    CHECK(at::allclose(whole.narrow(1, 0, 20), part, 1e-4, 1e-4) == !clamp);
  }
}

TEST_CASE("v11b routes without noise in evaluation; the published code drew it there too") {
  for (const bool noisy : {false, true}) {
    const arch::Built b = small("v11b_hard_routing", noisy ? "eval_gumbel=true" : "");
    CHECK(at::equal(logits(b), logits(b)) == !noisy);
  }
  const arch::Built b = small("v11b_hard_routing", "");
  const auto trained = [&](int64_t batch) {
    b.model->begin({true, 5, batch});
    return logits(b);
  };
  CHECK(at::equal(trained(3), trained(3)));
  CHECK_FALSE(at::equal(trained(3), trained(4)));
}

TEST_CASE("v15 validates by its answer alone; the published code counted the steps' losses too") {
  const at::NoGradGuard no_grad;
  for (const bool published : {false, true}) {
    const arch::Built b = small("v15_aux_loss", published ? "eval_aux_loss=true" : "");
    const Tensor u = tokens();
    b.model->forward(u);
    CHECK(b.model->extra_loss(u).defined() == published);
    b.model->begin({.training = true});
    b.model->forward(u);
    CHECK(b.model->extra_loss(u).min().item().toDouble() > 0);
  }
}

TEST_CASE("v15 keeps the entries that are largest in size, of equal ones the first") {
  const at::NoGradGuard no_grad;
  constexpr size_t kept = 10;
  const arch::Built b = small("v15_aux_loss", "sparsity_k=10");
  std::map<std::string, Tensor> states;
  const arch::Observer look = [&](std::string_view name, const Tensor& x) { states[std::string(name)] = x.contiguous(); };
  // A flat state: outside of the window that is written all entries stay equal.
  for (const Tensor& input : {at::ones({1, 3, 40}), -at::ones({1, 3, 40}), tokens(3)}) {
    b.model->forward(input, &look);
    const Tensor before = states.at("steps.0.write"), after = states.at("steps.0");
    for (int64_t row = 0; row < before.numel() / 40; ++row) {
      const float *x = before.const_data_ptr<float>() + row * 40, *y = after.const_data_ptr<float>() + row * 40;
      std::vector<size_t> order(40);
      std::iota(order.begin(), order.end(), size_t{0});
      std::stable_sort(order.begin(), order.end(), [&](size_t i, size_t j) { return std::abs(x[i]) > std::abs(x[j]); });
      for (size_t i = 0; i < 40; ++i) CHECK(y[order[i]] == (i < kept ? x[order[i]] : 0));
    }
  }
}

TEST_CASE("waves are the published ones, and equal to one step after the other exactly where they only permute") {
  using arch::vocab::waves;
  const auto grouped = [](int64_t N, int64_t k) {
    std::vector<arch::vocab::Windows> steps;
    for (int64_t i = 0; i < N; ++i) steps.push_back(arch::vocab::windows_of(i, N, 1024, k));
    return waves(steps, 1024);
  };
  using Groups = std::vector<std::vector<size_t>>;
  CHECK(grouped(8, 256) == Groups{{0, 2}, {1, 3}, {4, 6}, {5, 7}});
  CHECK(grouped(12, 256).size() == 12);
  CHECK(grouped(16, 128) == Groups{{0, 2, 4, 6}, {1, 3, 5, 7}, {8, 10, 12, 14}, {9, 11, 13, 15}});
  CHECK(grouped(10, 208) == Groups{{0, 8}, {1, 9}, {2}, {3}, {4}, {5}, {6}, {7}});
  const at::NoGradGuard no_grad;
  const auto difference = [](int64_t N, int64_t k, int64_t V) {
    const auto run = [&](bool parallel) {
      return random_model("v12_vocab_slice", {{"num_steps", N}, {"k_active", k}, {"parallel_waves", parallel}}, V, 8)
          .model->forward(ids(1, 8, [&](int64_t, int64_t t) { return 31 * t % V; }));
    };
    return (run(true) - run(false)).abs().max().item().toDouble();
  };
  CHECK(difference(8, 64, 256) < 1e-4);
  CHECK(difference(10, 208, 1024) > 0.1);
}

TEST_CASE("grad_checkpoint computes steps twice and changes nothing") {
  const auto gradients = [](bool again) {
    const arch::Built b = small("v13_with_embedding", again ? "grad_checkpoint=true" : "");
    const Tensor u = tokens();
    torch::autograd::backward({b.model->loss(b.model->forward(u), u)}, {});
    return b.params->grads().clone();
  };
  const Tensor kept = gradients(false), again = gradients(true);
  CHECK((kept - again).norm().item().toDouble() < 1e-6 * kept.norm().item().toDouble());
}

TEST_CASE("emulate_bf16_init rounds initial values and tables to bf16 once") {
  const auto value = [](const arch::Built& b, const char* name) { return b.params->find(name)->value.view({-1})[1].item().toDouble(); };
  const auto built = [](bool rounded) {
    return arch::build(arch::find_architecture("v4"), testing::configured({{"emulate_bf16_init", rounded}}), {64, 8}, {});
  };
  CHECK(value(built(false), "steps.0.memory.decay_logits") == doctest::Approx(7.0 / 3).epsilon(1e-6));
  CHECK(value(built(true), "steps.0.memory.decay_logits") == 2.328125);
  CHECK(built(true).params->find("steps.0.memory.out_scale")->value.item().toDouble() == 0.10009765625);
  const at::NoGradGuard no_grad;
  const Tensor a = logits(small("v2_conv", "")), b = logits(small("v2_conv", "emulate_bf16_init=true"));
  CHECK_FALSE(at::equal(a, b));
  CHECK(at::allclose(a, b, 0.1, 0.5));
}
