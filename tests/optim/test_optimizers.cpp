#include <ATen/ops/equal.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "assay/core/error.h"
#include "assay/core/random.h"
#include "assay/optim/conditioning.h"
#include "assay/optim/optimizer.h"
#include "assay/optim/orthogonal.h"

using namespace assay;
using optim::OptimConfig;

namespace {

void fill(Tensor t, const std::string& name, uint64_t step) {
  const at::NoGradGuard no_grad;
  const core::Stream stream(7, name, step);
  Tensor x = at::empty({t.numel()}, at::TensorOptions().dtype(at::kDouble));
  for (int64_t i = 0; i < t.numel(); ++i) x.data_ptr<double>()[i] = stream.normal(static_cast<uint64_t>(i));
  t.copy_(x.view(t.sizes()).to(t.options()));
}

// Two layers' matrices, an embedding, a vector, a scalar at another rate, one parameter that is fixed.
std::unique_ptr<tensor::Params> example(at::ScalarType dtype = at::kFloat) {
  auto p = std::make_unique<tensor::Params>(at::kCPU, dtype, 0);
  p->add("token_embedding.weight", {7, 6}, tensor::normal(1));
  p->add("blocks.0.attn.out.weight", {6, 6}, tensor::normal(0.3));
  p->add("blocks.0.mlp.fc1.weight", {12, 6}, tensor::normal(0.3));
  p->add("blocks.1.attn.out.weight", {6, 6}, tensor::normal(0.3));
  p->add("blocks.1.mlp.fc1.weight", {12, 6}, tensor::normal(0.3));
  p->add("blocks.1.gain", {6}, tensor::constant(1));
  p->add("alpha", {}, tensor::constant(0.5), {.lr_scale = 0.3});
  p->add("fixed", {4, 4}, tensor::constant(2), {.trained = false});
  p->seal();
  return p;
}

void gradients(tensor::Params& p, uint64_t step) {
  for (const auto& e : p.entries())
    if (e.treatment.trained) fill(p.view(p.grads(), e), e.name, step);
}

OptimConfig config(std::initializer_list<std::pair<const char*, core::Value>> options) {
  OptimConfig c;
  c.lr = 0.01;
  auto bound = core::Bound::of(c);
  for (const auto& [name, value] : options) bound.set(name, value, core::Source::command_line);
  return c;
}

// Everything that this version can run.
std::vector<OptimConfig> all_rules() {
  return {config({{"name", "adam"}, {"weight_decay", 0.1}}),
          config({{"name", "adamw"}, {"weight_decay", 0.1}, {"eps_form", "uncorrected"}}),
          config({{"name", "sgd"}}),
          config({{"name", "sgd"}, {"momentum", 0.9}, {"weight_decay", 0.1}}),
          config({{"name", "lion"}, {"weight_decay", 0.1}, {"beta2", 0.99}}),
          config({{"name", "muon"}}),
          config({{"name", "muon"}, {"muon_orth", "polar_express"}, {"muon_normuon", true}, {"muon_nesterov", true}}),
          config({{"name", "muon"}, {"weight_decay", 0.1}, {"muon_cautious", true}, {"muon_iterations", int64_t{12}}}),
          config({{"name", "sgd"}, {"momentum", 0.9}, {"conditioning", "learnt"}, {"conditioning_eta", 0.5}}),
          config({{"name", "adamw"}, {"conditioning", "rule"}}),
          config({{"name", "sgd"}, {"conditioning", "permuted"}}),
          config({{"name", "sgd"}, {"conditioning", "random"}})};
}

void run(tensor::Params& p, optim::Optimizer& o, int64_t first, int64_t last) {
  for (int64_t n = first; n < last; ++n) {
    gradients(p, static_cast<uint64_t>(n));
    o.update(0.01 * static_cast<double>(n + 1));
  }
}

std::string described(const OptimConfig& c) { return core::to_json(core::Bound::of(const_cast<OptimConfig&>(c)).values()); }

}  // namespace

TEST_CASE("what state() names is all that an update depends on: copied into a new optimizer, it goes on bit for bit") {
  for (const OptimConfig& c : all_rules()) {
    INFO(described(c));
    const auto whole = example(), half = example(), resumed = example();
    const auto a = optim::make_optimizer(*whole, c), b = optim::make_optimizer(*half, c), d = optim::make_optimizer(*resumed, c);
    run(*whole, *a, 0, 5);
    run(*half, *b, 0, 3);
    resumed->values().copy_(half->values());
    const auto from = b->state(), to = d->state();
    REQUIRE(from.size() == to.size());
    for (size_t i = 0; i < from.size(); ++i) {
      CHECK(from[i].name == to[i].name);
      Tensor(to[i].value).copy_(from[i].value);
    }
    d->set_updates(b->updates());
    run(*resumed, *d, 3, 5);
    CHECK(at::equal(whole->values(), resumed->values()));
    CHECK(d->updates() == 5);
  }
}

TEST_CASE("every rule moves what is trained and leaves what is fixed") {
  for (const OptimConfig& c : all_rules()) {
    INFO(described(c));
    const auto p = example(), before = example();
    run(*p, *optim::make_optimizer(*p, c), 0, 1);
    for (size_t i = 0; i < p->entries().size(); ++i) {
      INFO(p->entries()[i].name);
      CHECK(at::equal(p->entries()[i].value, before->entries()[i].value) == !p->entries()[i].treatment.trained);
    }
  }
}

TEST_CASE("lion moves each weight by the rate, and by nothing else, where decay is off") {
  const auto p = example(at::kDouble), before = example(at::kDouble);
  gradients(*p, 0);
  optim::make_optimizer(*p, config({{"name", "lion"}}))->update(0.01);
  for (size_t i = 0; i < 5; ++i) {
    const Tensor moved = (p->entries()[i].value - before->entries()[i].value).abs();
    CHECK(moved.min().item().toDouble() == doctest::Approx(0.01));
    CHECK(moved.max().item().toDouble() == doctest::Approx(0.01));
  }
  CHECK((p->find("alpha")->value - before->find("alpha")->value).abs().item().toDouble() == doctest::Approx(0.003));
}

TEST_CASE("published Newton-Schulz leaves a flat spectrum of 768 at 0.245; it takes ten steps to pass 0.95, and more converge") {
  const auto flat = [](int64_t n, int64_t steps) {
    return optim::newton_schulz(at::eye(n).unsqueeze(0), steps, tensor::Precision::fp32)[0][0][0].item().toDouble();
  };
  CHECK(flat(768, 5) == doctest::Approx(0.245).epsilon(0.002));
  CHECK(flat(768, 10) > 0.95);
  CHECK(flat(24, 30) == doctest::Approx(1).epsilon(1e-5));
}

TEST_CASE("polar express brings singular values from 0.001 up into 0.85 to 1.14, tall or wide") {
  Tensor D = at::zeros({1, 40, 20}, at::TensorOptions().dtype(at::kDouble));
  for (int64_t i = 0; i < 20; ++i) D[0][i][i] = std::pow(10.0, -3.0 * static_cast<double>(i) / 19);
  D = D / at::linalg_vector_norm(D);
  for (const Tensor& X : {D, D.transpose(1, 2)}) {
    const Tensor O = optim::polar_express(X, tensor::Precision::fp32);
    for (int64_t i = 0; i < 20; ++i) {
      const double s = O[0][i][i].item().toDouble();
      if (X[0][i][i].item().toDouble() < 0.00102) continue;
      CHECK(s > 0.84);
      CHECK(s < 1.15);
    }
  }
}

TEST_CASE("matrices of one shape that are orthogonalised as a batch move as they do alone") {
  const auto together = example(at::kDouble), alone = example(at::kDouble);
  run(*together, *optim::make_optimizer(*together, config({{"name", "muon"}})), 0, 2);
  tensor::Params single(at::kCPU, at::kDouble, 0);
  const std::string name = "blocks.1.mlp.fc1.weight";
  single.add(name, {12, 6}, tensor::constant(0));
  single.seal();
  single.view(single.values(), single.entries()[0]).copy_(alone->find(name)->value.detach());
  run(single, *optim::make_optimizer(single, config({{"name", "muon"}})), 0, 2);
  CHECK((single.entries()[0].value - together->find(name)->value).abs().max().item().toDouble() < 1e-12);
}

TEST_CASE("the corrected geodesic keeps rows on the sphere and goes down; the published ones go up") {
  for (const std::string kind : {"corrected", "lr", "scaled"}) {
    INFO(kind);
    tensor::Params p(at::kCPU, at::kDouble, 0);
    p.add("blocks.0.weight", {4, 6}, tensor::normal(1));
    p.seal();
    const at::NoGradGuard no_grad;
    Tensor W = p.view(p.values(), p.entries()[0]), g = p.view(p.grads(), p.entries()[0]);
    W.div_(at::linalg_vector_norm(W, 2, {1}, true));
    fill(g, "g", 0);
    const Tensor before = W.clone();
    optim::make_optimizer(p, config({{"name", "muon"}, {"muon_geodesic", kind.c_str()}, {"muon_iterations", int64_t{40}}}))->update(0.01);
    const double change = (g * (W - before)).sum().item().toDouble();
    CHECK((kind == "corrected" ? change < 0 : change > 0));
    if (kind == "corrected") CHECK((at::linalg_vector_norm(W, 2, {1}) - 1).abs().max().item().toDouble() < 1e-12);
  }
}

TEST_CASE("conditioning by constant scales is a learning rate for each tensor under gradient descent with momentum") {
  const auto conditioned = example(at::kDouble);
  std::vector<std::vector<int64_t>> shapes;
  for (const auto& e : conditioned->entries()) shapes.push_back(e.treatment.trained ? e.shape : std::vector<int64_t>{});
  const OptimConfig c = config({{"name", "sgd"}, {"momentum", 0.9}, {"conditioning", "scale_only"}});
  const optim::Conditioning rule = optim::conditioning_rule(shapes, c);
  tensor::Params by_rate(at::kCPU, at::kDouble, 0);
  for (size_t i = 0; i < shapes.size(); ++i) {
    const auto& e = conditioned->entries()[i];
    tensor::Treatment t = e.treatment;
    t.lr_scale *= rule.scale[i];
    by_rate.add(e.name, e.shape, e.init, t);
  }
  by_rate.seal();
  run(*conditioned, *optim::make_optimizer(*conditioned, c), 0, 4);
  run(by_rate, *optim::make_optimizer(by_rate, config({{"name", "sgd"}, {"momentum", 0.9}})), 0, 4);
  CHECK((conditioned->values() - by_rate.values()).abs().max().item().toDouble() < 1e-14);
}

TEST_CASE("under Adam constant scales do nothing but through eps") {
  const auto plain = example(at::kDouble), scaled = example(at::kDouble);
  run(*plain, *optim::make_optimizer(*plain, config({{"eps", 1e-16}})), 0, 3);
  run(*scaled, *optim::make_optimizer(*scaled, config({{"eps", 1e-16}, {"conditioning", "scale_only"}})), 0, 3);
  CHECK((plain->values() - scaled->values()).abs().max().item().toDouble() < 1e-11);
}

TEST_CASE("a constant shift pushes every element by lr b / (1 - momentum) a step in the end") {
  const auto p = example(at::kDouble), q = example(at::kDouble);
  const auto o =
      optim::make_optimizer(*p, config({{"name", "sgd"}, {"momentum", 0.5}, {"conditioning", "shift_only"}, {"conditioning_b0", 0.6}}));
  Tensor before;
  for (int n = 0; n < 60; ++n) {
    before = p->entries()[1].value.detach().clone();
    p->grads().zero_();
    o->update(0.01);
  }
  // The second matrix: k = 1, 36 elements, b = -0.6 / 6.
  const Tensor moved = p->entries()[1].value.detach() - before;
  CHECK((moved - 0.01 * 0.1 / 0.5).abs().max().item().toDouble() < 1e-15);
  CHECK(at::equal(p->find("blocks.1.gain")->value, q->find("blocks.1.gain")->value));
}

TEST_CASE("the rule: scales around s0, every shift of norm b0, alternating; the permuted control has the same scales elsewhere") {
  const std::vector<std::vector<int64_t>> shapes{{16, 8}, {10, 8}, {24}, {8, 32}, {4, 3, 2}};
  const optim::Conditioning rule = optim::conditioning_rule(shapes, config({{"conditioning", "rule"}}));
  double log_mean = 0;
  for (size_t i : {0U, 1U, 3U, 4U}) log_mean += std::log(rule.scale[i]) / 4;
  CHECK(std::exp(log_mean) == doctest::Approx(1).epsilon(0.02));  // up to the q factor
  CHECK(rule.scale[2] == 1);
  CHECK(rule.shift[2] == 0);
  CHECK(rule.shift[0] * std::sqrt(128.0) == doctest::Approx(1e-4));
  CHECK(rule.shift[1] * std::sqrt(80.0) == doctest::Approx(-1e-4));
  optim::Conditioning permuted = optim::conditioning_rule(shapes, config({{"conditioning", "permuted"}}));
  CHECK(permuted.scale != rule.scale);
  std::vector<double> a = rule.scale, b = permuted.scale;
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  CHECK(a == b);
  const optim::Conditioning wild =
      optim::conditioning_rule({{2, 1000}, {1000, 2}}, config({{"conditioning", "rule"}, {"conditioning_p", 2.0}}));
  CHECK(wild.scale == std::vector<double>{0.25, 4});
}

TEST_CASE("options that contradict each other are refused, and both are named") {
  const auto p = example();
  const auto refusal = [&](std::initializer_list<std::pair<const char*, core::Value>> options, const char* one, const char* other) {
    try {
      optim::make_optimizer(*p, config(options));
      FAIL_CHECK("accepted: " << one << " with " << other);
    } catch (const core::ConfigError& e) {
      const std::string text = e.what();
      CHECK_MESSAGE((text.find(one) != std::string::npos && text.find(other) != std::string::npos), text);
    }
  };
  refusal({{"name", "adam"}, {"muon_nesterov", true}}, "muon_nesterov", "name=adam");
  refusal({{"name", "lion"}, {"momentum", 0.9}}, "momentum", "name=lion");
  refusal({{"name", "sgd"}, {"eps_form", "uncorrected"}}, "eps_form", "name=sgd");
  refusal({{"name", "muon"}, {"muon_cautious", true}}, "muon_cautious", "weight_decay=0");
  refusal({{"name", "muon"}, {"muon_geodesic", "lr"}, {"weight_decay", 0.1}}, "muon_geodesic=lr", "weight_decay=0.1");
  refusal({{"name", "muon"}, {"muon_orth", "polar_express"}, {"muon_iterations", int64_t{9}}}, "muon_iterations=9", "polar_express");
  refusal({{"conditioning_b0", 0.1}}, "conditioning_b0", "conditioning=none");
  refusal({{"conditioning", "rule"}, {"conditioning_eta", 0.1}}, "conditioning_eta", "conditioning=rule");
  tensor::Params vectors(at::kCPU, at::kFloat, 0);
  vectors.add("blocks.0.gain", {4}, tensor::constant(1));
  vectors.seal();
  CHECK_THROWS_WITH_AS(optim::make_optimizer(vectors, config({{"name", "muon"}})), doctest::Contains("no matrix"), core::ConfigError);
}
