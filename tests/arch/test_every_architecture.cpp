#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/remainder.h>
#include <doctest/doctest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <functional>
#include <set>

#include "arch/helpers.h"

using namespace assay;
using testing::ids;
using testing::small_options;

namespace {

std::vector<std::string> names() {
  std::vector<std::string> out;
  for (const arch::ArchInfo* a : arch::architectures()) out.emplace_back(a->name);
  return out;
}

}  // namespace

TEST_CASE("no logit depends on the future: changing tokens from position t on leaves earlier logits bit-identical") {
  for (const std::string& name : names()) {
    INFO(name);
    const arch::Built b = testing::random_model(name, small_options(name), 40, 24);
    for (const bool training : {false, true}) {
      b.model->begin({.training = training, .seed = 3});
      for (int64_t first : {1, 12, 23}) {
        const auto [before, after] = testing::logits_before_change(b, 40, 24, first);
        CHECK(at::equal(before, after));
      }
    }
  }
}

TEST_CASE("rows of a batch do not see each other, and a prefix gives the logits of the whole, to rounding") {
  for (const std::string& name : names()) {
    INFO(name);
    const at::NoGradGuard no_grad;
    const arch::Built b = testing::random_model(name, small_options(name), 40, 24);
    const Tensor u = ids(3, 24, [](int64_t r, int64_t t) { return (7 * r + 5 * t + t * t) % 40; });
    const Tensor whole = b.model->forward(u);
    CHECK(at::allclose(whole.narrow(0, 1, 1), b.model->forward(u.narrow(0, 1, 1)), 1e-4, 1e-4));
    CHECK(at::allclose(whole.narrow(1, 0, 9), b.model->forward(u.narrow(1, 0, 9)), 1e-4, 1e-4));
    b.model->begin({.training = true, .seed = 3});  // where noise may belong to a row, but not to the length
    CHECK(at::allclose(b.model->forward(u).narrow(1, 0, 9), b.model->forward(u.narrow(1, 0, 9)), 1e-4, 1e-4));
  }
}

TEST_CASE("sequences of 1, 2 and 3 tokens give finite losses and gradients, and evaluation repeats bit for bit") {
  for (const std::string& name : names())
    for (int64_t length : {1, 2, 3}) {
      INFO(name << " T=" << length);
      const arch::Built b = testing::random_model(name, small_options(name), 40, 24);
      const Tensor u = ids(2, length, [](int64_t r, int64_t t) { return 3 * r + t; });
      for (const bool training : {false, true}) {
        b.model->begin({.training = training});
        const Tensor logits = b.model->forward(u), loss = b.model->loss(logits, u);
        torch::autograd::backward({loss}, {});
        CHECK(std::isfinite(loss.item().toDouble()));
        CHECK(at::isfinite(b.params->grads()).all().item().toBool());
        CHECK(at::equal(logits, b.model->forward(u)));
      }
    }
}

TEST_CASE("the loss that a training step computes is that of the logits with the model's own terms, to the gradients") {
  for (const std::string& name : names()) {
    INFO(name);
    const arch::Built b = testing::random_model(name, small_options(name), 40, 24, at::kDouble);
    const Tensor u = ids(2, 24, [](int64_t r, int64_t t) { return (7 * r + 5 * t + t * t) % 40; }), y = (3 * u + 1).remainder(40);
    const auto gradients_of = [&](const std::function<Tensor()>& loss, double* value) {
      b.params->grads().zero_();
      b.model->begin({.training = true, .seed = 3});
      const Tensor l = loss();
      torch::autograd::backward({l}, {});
      *value = l.item().toDouble();
      return b.params->grads().clone();
    };
    double by_logits = 0, at_once = 0;
    const Tensor a = gradients_of([&] { return b.model->loss(b.model->forward(u), y); }, &by_logits);
    const Tensor c = gradients_of([&] { return b.model->training_loss(u, y); }, &at_once);
    CHECK(at_once == doctest::Approx(by_logits).epsilon(1e-12));
    CHECK((a - c).abs().max().item().toDouble() <= 1e-10 * a.abs().max().item().toDouble());
  }
}

TEST_CASE("the observer sees states without changing the result, and always the final one") {
  for (const std::string& name : names()) {
    INFO(name);
    const arch::Built b = testing::random_model(name, small_options(name), 40, 8);
    const Tensor u = ids(1, 8, [](int64_t, int64_t t) { return t; });
    std::set<std::string> seen;
    const arch::Observer look = [&](std::string_view state, const Tensor& x) {
      CHECK(x.dim() == 3);
      CHECK(seen.insert(std::string(state)).second);
    };
    CHECK(at::equal(b.model->forward(u, &look), b.model->forward(u)));
    CHECK(seen.count("final") == 1);
    CHECK(seen.size() >= 3);
  }
}

TEST_CASE("initial values are a function of seed and name: the same in another model where shapes agree") {
  const auto make = [](std::initializer_list<std::pair<const char*, core::Value>> options, uint64_t seed) {
    arch::BuildOptions o;
    o.seed = seed;
    return arch::build(arch::find_architecture("gpt2"), testing::configured(options), {64, 8}, o);
  };
  const arch::Built shallow = make({{"n_layer", 2}}, 5), deep = make({{"n_layer", 3}}, 5), other = make({{"n_layer", 2}}, 6);
  for (const auto& e : shallow.params->entries()) {
    INFO(e.name);
    CHECK(at::equal(e.value, deep.params->find(e.name)->value));
  }
  CHECK_FALSE(at::equal(shallow.params->find("token_embedding.weight")->value, other.params->find("token_embedding.weight")->value));
}

namespace {

void check_bf16(const std::string& name, int64_t rows, int64_t length) {
  INFO(name);
  arch::BuildOptions o;
  o.precision = tensor::Precision::bf16;
  const auto& info = arch::find_architecture(name);
  const arch::Built low = arch::build(info, small_options(name), {64, 32}, o), full = arch::build(info, small_options(name), {64, 32}, {});
  const Tensor u = ids(rows, length, [](int64_t r, int64_t t) { return (5 * r + 3 * t) % 64; }),
               y = ids(rows, length, [](int64_t r, int64_t t) { return (5 * r + 3 * t + 3) % 64; });
  const auto near = [](const Tensor& a, const Tensor& b, double share) {
    CHECK_FALSE(at::equal(a, b));
    CHECK((a - b).norm().item().toDouble() < share * b.norm().item().toDouble());
  };
  {
    const at::NoGradGuard no_grad;
    near(low.model->forward(u), full.model->forward(u), 0.05);
  }
  const at::AutoGradMode grad(true);
  for (const arch::Built* b : {&low, &full}) {
    b->model->begin({true, 1, 0});
    torch::autograd::backward({b->model->training_loss(u, y)}, {});
  }
  if (!info.straight_through) near(low.params->grads(), full.params->grads(), 0.1);
}

}  // namespace

TEST_CASE("bf16 products stay near fp32 ones, values and gradients") {
  for (const std::string& name : names()) check_bf16(name, 2, 32);
}

// Few tokens: a processor without bfloat16 instructions takes its time.
TEST_CASE("so they do where activations stay bfloat16 from op to op") {
  const tensor::ProductChoice before = tensor::product_choice();
  tensor::set_product_choice({before.fp32, true});
  for (const std::string& name : names()) check_bf16(name, 1, name == "cnn" ? 32 : 8);
  tensor::set_product_choice(before);
}

TEST_CASE("gpt2 has the published parameter counts") {
  const auto count = [](int64_t C, int64_t L, int64_t H, int64_t T, int64_t V) {
    return arch::build(arch::find_architecture("gpt2"),
                       testing::configured({{"n_embd", C}, {"n_layer", L}, {"n_head", H}, {"max_seq_len", T}}), {V, T}, {})
        .params->count();
  };
  CHECK(count(128, 2, 4, 24, 101) == 128 * 101 + 24 * 128 + 2 * (12 * 128 * 128 + 13 * 128) + 2 * 128);
  // The published figures count rows that pad the vocabulary to a multiple of 64; ours has no such rows.
  CHECK(count(128, 2, 4, 8, 101) == 414208 - (128 - 101) * 128);
  CHECK(count(128, 4, 4, 256, 50257) == 7265024 - (50304 - 50257) * 128);
}
