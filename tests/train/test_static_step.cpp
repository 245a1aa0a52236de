#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <doctest/doctest.h>

#include <cmath>

#include "assay/core/error.h"
#include "assay/core/random.h"
#include "assay/tensor/device.h"
#include "assay/train/static_step.h"

using namespace assay;
using core::Value;

namespace {

constexpr int64_t kRows = 2, kLength = 6, kVocab = 16;

data::Rows rows(int64_t n) {
  const core::Stream stream(3, "static step");
  data::Rows r{kRows, kLength, {}, {}};
  for (int64_t i = 0; i < kRows * kLength; ++i) {
    r.inputs.push_back(static_cast<int64_t>(stream.below(static_cast<uint64_t>(2 * (n * 1000 + i)), kVocab)));
    r.targets.push_back(static_cast<int64_t>(stream.below(static_cast<uint64_t>(2 * (n * 1000 + i) + 1), kVocab)));
  }
  return r;
}

// Options of a model beside its size.
using Options = std::initializer_list<std::pair<const char*, Value>>;
Value document(const Options& options) {
  Value v = Value::object();
  for (const auto& [name, value] : options) v[name] = value;
  return v;
}

arch::Built build(const char* name, const at::Device& device, tensor::Precision precision = tensor::Precision::fp32,
                  const Value& more = Value::object()) {
  Value config = Value::object();
  if (std::string(name) != "v8_lowrank_vv") {
    config["n_layer"] = 2;
    config["n_embd"] = 16;
    config["n_head"] = 2;
    for (const auto& [option, value] : more.as_object()) config[option] = value;
  } else {
    config["num_hops"] = 2;
  }
  arch::BuildOptions options;
  options.device = device;
  options.precision = precision;
  options.seed = 5;
  return arch::build(arch::find_architecture(name), config, {kVocab, kLength}, options);
}

optim::OptimConfig adam() {
  optim::OptimConfig c;
  c.lr = 0.01;
  return c;
}

// Adam's first moments, one after another.
Tensor moment_of(optim::Optimizer& optimizer) { return optimizer.on_device()->first; }

struct Trace {
  std::vector<train::StaticStep::Result> results;
  Tensor values, first;
  std::vector<Tensor> states;  // the model's own
  std::string description;
  int64_t updates = 0;
  bool captured = false;
};

// 100 updates with a schedule, accumulation, and one whose gradient is spoilt through a weight that the host sets and puts back.
Trace train_hundred(const char* name, const at::Device& device, bool capture, tensor::Precision precision,
                    const Value& more = Value::object()) {
  const arch::Built built = build(name, device, precision, more);
  const auto optimizer = optim::make_optimizer(*built.params, adam());
  train::StaticStep step(built, *optimizer, {kRows, kLength, 2, 0.5, {3}, capture});
  Trace t;
  const at::NoGradGuard no_grad;
  const Tensor weight = built.params->entries()[0].value;
  for (int64_t n = 0; n < 100; ++n) {
    const std::vector<data::Rows> batches{rows(2 * n), rows(2 * n + 1)};
    const Tensor kept = weight.clone();
    if (n == 40) weight.fill_(std::nan(""));
    step.run(batches, 0.01 * (1 - static_cast<double>(n) / 100), {n, 100}, {.training = true, .batch = 2 * n});
    if (n == 40) weight.copy_(kept);
    if (step.full()) {
      for (const auto& r : step.collect()) t.results.push_back(r);
    }
  }
  for (const auto& r : step.collect()) t.results.push_back(r);
  t.values = built.params->values().detach().clone();
  for (const auto& s : built.params->states()) t.states.push_back(s.value.clone());
  t.description = step.description();
  t.first = moment_of(*optimizer).clone();
  t.updates = optimizer->updates();
  t.captured = step.captured();
  return t;
}

}  // namespace

TEST_CASE("CUDA: a recorded step and one that is launched call by call agree bit for bit over 100 updates") {
  static at::Device device(at::kCPU);
  try {
    device = tensor::open_device("cuda");
  } catch (const core::DeviceError& e) {
    MESSAGE("skipped: " << std::string(e.what()));
    return;
  }
  for (const char* name : {"v8_lowrank_vv", "gpt2"})
    for (const tensor::Precision precision : {tensor::Precision::fp32, tensor::Precision::bf16}) {
      INFO(std::string(name) << " " << tensor::name_of(precision));
      const Trace eager = train_hundred(name, device, false, precision), graph = train_hundred(name, device, true, precision);
      CHECK_FALSE(eager.captured);
      CHECK(graph.captured);
      CHECK(at::equal(eager.values, graph.values));
      CHECK(at::equal(eager.first, graph.first));
      REQUIRE(eager.results.size() == graph.results.size());
      for (size_t i = 0; i < eager.results.size(); ++i) {
        CHECK(eager.results[i].applied == (i != 40));
        CHECK(eager.results[i].applied == graph.results[i].applied);
        if (i == 40) continue;
        CHECK(eager.results[i].loss == graph.results[i].loss);
        CHECK(eager.results[i].grad_norm == graph.results[i].grad_norm);
      }
      CHECK(graph.updates == 99);
    }
}

namespace {

struct Normalised {
  const char* name;
  Value options;
};

// The models that act after an update, in every way in which they do.
std::vector<Normalised> normalised_models() {
  return {{"ngpt_official", document({})},
          {"ngpt", document({{"gate", "static"}})},
          {"ngpt", document({{"dual_norm", true}, {"project_every", 3}})},
          {"ngpt", document({{"projection", "off"}, {"dual_norm", true}})},
          {"ngpt", document({{"projection", "time"}})},
          {"ngpt", document({{"projection", "drift"}, {"drift_threshold", 0.02}})},
          {"ngpt", document({{"target_radius", 1.1}})}};
}

}  // namespace

TEST_CASE("CUDA: what a model does after an update is the same bits recorded and launched, and nothing after a skipped one") {
  static at::Device device(at::kCPU);
  try {
    device = tensor::open_device("cuda");
  } catch (const core::DeviceError& e) {
    MESSAGE("skipped: " << std::string(e.what()));
    return;
  }
  for (const Normalised& m : normalised_models())
    for (const tensor::Precision precision : {tensor::Precision::fp32, tensor::Precision::bf16}) {
      INFO(std::string(m.name) << " " << core::to_json(m.options) << " " << tensor::name_of(precision));
      const Trace eager = train_hundred(m.name, device, false, precision, m.options),
                  graph = train_hundred(m.name, device, true, precision, m.options);
      CHECK_FALSE(eager.captured);
      CHECK(graph.captured);
      CHECK(graph.description == "recorded");
      CHECK(at::equal(eager.values, graph.values));
      CHECK(at::equal(eager.first, graph.first));
      REQUIRE(eager.states.size() == graph.states.size());
      for (size_t i = 0; i < eager.states.size(); ++i) CHECK(at::equal(eager.states[i], graph.states[i]));
      CHECK(graph.updates == 99);
    }
  const Trace noisy = train_hundred("ngpt", device, true, tensor::Precision::fp32, document({{"dropout", "branch"}}));
  CHECK_FALSE(noisy.captured);
  CHECK(noisy.description == "launched: numbers of the host enter the model's passes");
}

TEST_CASE("a model that acts after an update does the same in the static step as in the plain one, and nothing after a skipped one") {
  for (const Normalised& m : normalised_models()) {
    INFO(std::string(m.name) << " " << core::to_json(m.options));
    const arch::Built a = build(m.name, at::kCPU, tensor::Precision::fp32, m.options),
                      b = build(m.name, at::kCPU, tensor::Precision::fp32, m.options);
    const auto plain = optim::make_optimizer(*a.params, adam()), other = optim::make_optimizer(*b.params, adam());
    train::StaticStep step(b, *other, {kRows, kLength, 2, 0.5, {3}, true});
    const Tensor weight = b.params->entries()[0].value;
    for (int64_t n = 0; n < 16; ++n) {
      const std::vector<data::Rows> batches{rows(2 * n), rows(2 * n + 1)};
      const std::vector<train::Batch> tensors{train::to_batch(batches[0], at::kCPU), train::to_batch(batches[1], at::kCPU)};
      const double lr = 0.01 / static_cast<double>(n + 1);
      if (n == 7) {  // an update that projects
        const at::NoGradGuard no_grad;
        const Tensor kept = weight.clone();
        weight.fill_(std::nan(""));
        const Tensor others = b.params->values().narrow(0, weight.numel(), b.params->values().numel() - weight.numel()).clone();
        std::vector<Tensor> states;
        for (const auto& s : b.params->states()) states.push_back(s.value.clone());
        step.run(batches, lr, {n, 16}, {.training = true, .batch = 2 * n});
        CHECK_FALSE(step.collect()[0].applied);
        CHECK(weight.isnan().all().item().toBool());
        CHECK(at::equal(b.params->values().narrow(0, weight.numel(), others.numel()), others));
        for (size_t i = 0; i < states.size(); ++i) CHECK(at::equal(b.params->states()[i].value, states[i]));
        weight.copy_(kept);
        continue;
      }
      train::training_step(a, *plain, tensors, lr, 0.5, {n, 16}, {.training = true, .batch = 2 * n});
      step.run(batches, lr, {n, 16}, {.training = true, .batch = 2 * n});
      CHECK(step.collect()[0].applied);
    }
    CHECK(at::allclose(a.params->values(), b.params->values(), 1e-3, 2e-5));
    for (size_t i = 0; i < a.params->states().size(); ++i) {
      INFO(a.params->states()[i].name);
      CHECK(at::allclose(a.params->states()[i].value, b.params->states()[i].value, 1e-5, 1e-6));
    }
    CHECK(step.description() == "launched: on the CPU");
  }
}

TEST_CASE("the head that micro-batches share gets the derivative that each would have given it") {
  const arch::Built a = build("ngpt", at::kCPU), b = build("ngpt", at::kCPU);
  const std::vector<train::Batch> batches{train::to_batch(rows(0), at::kCPU), train::to_batch(rows(1), at::kCPU)};
  const auto gradients = [&](const arch::Built& built, bool shared) {
    if (shared) built.model->begin_passes();
    train::accumulate_gradients(built, batches, {.training = true});
    const at::NoGradGuard no_grad;
    built.model->adjust_gradients();
    return built.params->grads().clone();
  };
  const Tensor each = gradients(a, false), once = gradients(b, true);
  CHECK(each.abs().max().item().toDouble() > 0);
  CHECK(at::allclose(each, once, 1e-4, 1e-7));
  CHECK(at::equal(gradients(b, false), each));  // nothing is left of it
}

TEST_CASE("the static step makes the same updates as the plain one, to rounding") {
  for (const char* name : {"v8_lowrank_vv", "gpt2"}) {
    INFO(std::string(name));
    const arch::Built a = build(name, at::kCPU), b = build(name, at::kCPU);
    const auto plain = optim::make_optimizer(*a.params, adam()), other = optim::make_optimizer(*b.params, adam());
    train::StaticStep step(b, *other, {kRows, kLength, 2, 0.5, {}, true});
    for (int64_t n = 0; n < 10; ++n) {
      const std::vector<data::Rows> batches{rows(2 * n), rows(2 * n + 1)};
      const std::vector<train::Batch> tensors{train::to_batch(batches[0], at::kCPU), train::to_batch(batches[1], at::kCPU)};
      const double lr = 0.01 / static_cast<double>(n + 1);
      const train::StepResult want = train::training_step(a, *plain, tensors, lr, 0.5, {n, 10});
      step.run(batches, lr, {n, 10}, {.training = true, .batch = 2 * n});
      const auto got = step.collect();
      REQUIRE(got.size() == 1);
      CHECK(got[0].number == n);
      CHECK(got[0].applied);
      CHECK(got[0].loss == doctest::Approx(want.loss).epsilon(1e-5));
      CHECK(got[0].grad_norm == doctest::Approx(want.grad_norm).epsilon(1e-4));
    }
    CHECK(at::allclose(a.params->values(), b.params->values(), 1e-3, 2e-5));
    CHECK(other->updates() == 10);
  }
}

TEST_CASE("an update that is not finite leaves everything as it was; one more than allowed halts what follows") {
  const arch::Built built = build("v8_lowrank_vv", at::kCPU);
  const auto optimizer = optim::make_optimizer(*built.params, adam());
  train::StaticStep step(built, *optimizer, {kRows, kLength, 1, 0.5, {1}, true});
  const at::NoGradGuard no_grad;
  const Tensor weight = built.params->entries()[0].value, kept = weight.clone(), before = built.params->values().detach().clone();
  const auto update = [&](int64_t n, bool spoilt) {
    if (spoilt) weight.fill_(INFINITY);
    const data::Rows r = rows(n);
    step.run({&r, 1}, 0.01, {n}, {.training = true, .batch = n});
    if (spoilt) weight.copy_(kept);
  };
  update(0, true);
  CHECK(at::equal(built.params->values(), before));
  CHECK(moment_of(*optimizer).abs().max().item().toDouble() == 0);
  auto results = step.collect();
  REQUIRE(results.size() == 1);
  CHECK_FALSE(results[0].applied);
  CHECK_FALSE(results[0].halted);
  CHECK(optimizer->updates() == 0);
  update(1, true);
  update(2, false);  // halted: a good batch changes nothing any more
  results = step.collect();
  REQUIRE(results.size() == 2);
  CHECK(results[0].halted);
  CHECK(results[1].halted);
  CHECK(at::equal(built.params->values(), before));
}

TEST_CASE("what to do with values that are not finite is stop or skip:K") {
  CHECK(train::nonfinite_from("stop").skips == 0);
  CHECK(train::nonfinite_from("skip:12").skips == 12);
  for (const char* bad : {"", "skip", "skip:", "skip:0", "skip:-1", "skip:2x", "go"})
    CHECK_THROWS_WITH_AS(train::nonfinite_from(bad), doctest::Contains("wanted stop, or skip:K"), core::ConfigError);
}
