#include <ATen/ops/equal.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <doctest/doctest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "arch/helpers.h"
#include "assay/arch/transformer/sphere.h"

using namespace assay;
using testing::configured;
using testing::ids;
namespace transformer = arch::transformer;

namespace {

using Options = std::initializer_list<std::pair<const char*, core::Value>>;

arch::Built model(const char* name, Options options, at::ScalarType dtype = at::kFloat) {
  core::Value all = configured({{"n_layer", int64_t{3}}, {"n_head", int64_t{2}}, {"n_embd", int64_t{8}}});
  for (const auto& [option, value] : options) all[option] = value;
  arch::BuildOptions build;
  build.dtype = dtype;
  build.seed = 4;
  return arch::build(arch::find_architecture(name), all, {11, 6}, build);
}

Tensor tokens() {
  return ids(2, 6, [](int64_t r, int64_t t) { return (5 * r + 3 * t + t * t) % 11; });
}

void set(const arch::Built& b, const std::string& ending, double value) {
  const at::NoGradGuard no_grad;
  int found = 0;
  for (const auto& e : b.params->entries())
    if (e.name.ends_with(ending)) {
      Tensor(e.value).fill_(value);
      ++found;
    }
  CHECK_MESSAGE(found > 0, ending);
}

// Logits in training, where dropout and statistics are at work.
Tensor logits(const arch::Built& b) {
  const at::NoGradGuard no_grad;
  b.model->begin({true, 1, 0});
  const Tensor out = b.model->forward(tokens());
  b.model->begin({});
  return out;
}

double apart(const Tensor& a, const Tensor& b) { return (a - b).abs().max().item().toDouble(); }

// Central differences in double at two entries of each trained parameter, of what training differentiates.
void check_derivatives(const arch::Built& b, const std::string& what) {
  INFO(what);
  const Tensor u = tokens(), y = (u * 3 + 1).remainder(11);
  const auto loss = [&] {
    b.model->begin({true, 1, 0});
    return b.model->loss(b.model->forward(u), y);
  };
  {  // away from initial values that are zero or equal
    const at::NoGradGuard no_grad;
    for (const auto& e : b.params->entries()) {
      const core::Stream stream(5, e.name);
      Tensor flat = Tensor(e.value).view({-1});
      for (int64_t i = 0; i < e.numel; ++i) flat[i].add_(0.2 * stream.normal(static_cast<uint64_t>(i)));
    }
  }
  torch::autograd::backward({loss()}, {});
  const at::NoGradGuard no_grad;
  const double scale = b.params->grads().abs().max().item().toDouble();
  for (const auto& e : b.params->entries()) {
    if (!e.treatment.trained) continue;
    INFO(e.name);
    for (const int64_t i : {int64_t{0}, e.numel / 2}) {
      Tensor x = Tensor(e.value).view({-1})[i];
      const double start = x.item().toDouble(), step = 1e-6;
      x.fill_(start + step);
      const double above = loss().item().toDouble();
      x.fill_(start - step);
      const double below = loss().item().toDouble();
      x.fill_(start);
      const double got = b.params->view(b.params->grads(), e).view({-1})[i].item().toDouble();
      CHECK(std::abs(got - (above - below) / (2 * step)) < 1e-6 * std::max(scale, std::abs(got)) + 1e-9);
    }
  }
}

std::string refusal(const char* name, Options options) {
  try {
    model(name, options);
    return "accepted";
  } catch (const core::ConfigError& e) {
    return e.what();
  }
}

bool names_both(const std::string& text, const char* one, const char* other) {
  return text.find(one) != std::string::npos && text.find(other) != std::string::npos;
}

}  // namespace

TEST_CASE("ngpt: the published parameter counts follow from the counts of a small model") {
  const auto formula = [](int64_t V, int64_t T, int64_t C, int64_t L) { return 2 * V * C + T * C + L * (12 * C * C + 2) + 1; };
  CHECK(model("ngpt", {}).params->count() == formula(11, 6, 8, 3));
  CHECK(formula(50257, 128, 768, 11) == 155149847);
  CHECK(model("ngpt", {{"gate", "static"}}).params->count() == formula(11, 6, 8, 3) + 3 * 2 * 8);
  CHECK(formula(50257, 128, 768, 11) + 11 * 2 * 768 == 155166743);
}

TEST_CASE("ngpt: each option at its neutral setting is the plain model, bit for bit where nothing is multiplied in another order") {
  const Tensor plain = logits(model("ngpt", {}));
  {
    const arch::Built b = model("ngpt", {{"gate", "static"}});
    set(b, "gate_attn", 40);  // sigmoid(40) is 1 in float32
    set(b, "gate_mlp", 40);
    CHECK(at::equal(logits(b), plain));
  }
  {
    const arch::Built b = model("ngpt", {{"hier_norm", true}});
    for (const char* name : {"hier_mu", "hier_nu_attn", "hier_nu_mlp"}) set(b, name, -200);
    CHECK(at::equal(logits(b), plain));
  }
  CHECK(at::equal(logits(model("ngpt", {{"activation_radius", true}})), plain));
  for (const char* kind : {"branch", "state", "path"})
    CHECK(at::equal(logits(model("ngpt", {{"dropout", kind}, {"dropout_p", 0.0}})), plain));
  CHECK(at::equal(logits(model("ngpt", {{"logit_scale_learnt", true}})), plain));
  CHECK(at::equal(logits(model("ngpt", {{"logit_scale_per_position", true}, {"logit_scale_learnt", true}})), plain));
  CHECK(apart(logits(model("ngpt", {{"per_head_alpha", true}})), plain) < 1e-5);
  const arch::Built dual = model("ngpt", {{"dual_norm", true}});
  for (const char* name : {"dual_attn.l", "dual_mlp.l"}) set(dual, name, -200);
  CHECK(apart(logits(dual), plain) < 1e-5);
}

TEST_CASE("ngpt: a gate that starts at 0 halves the step, and so does the frozen one: the control at 0.14 has the same logits") {
  const Tensor control = logits(model("ngpt", {{"alpha_attn", 0.14}, {"alpha_mlp", 0.14}}));
  for (const char* kind : {"static", "frozen", "dynamic", "dynamic_scalar"})
    CHECK(apart(logits(model("ngpt", {{"gate", kind}})), control) < 1e-6);
  CHECK(apart(logits(model("ngpt", {})), control) > 1e-3);
}

TEST_CASE("ngpt: layer schedules have the published means over eleven layers") {
  const auto mean = [](const char* schedule) {
    const arch::Built b = model("ngpt", {{"alpha_schedule", schedule}, {"n_layer", int64_t{11}}});
    double sum = 0;
    for (int64_t l = 0; l < 11; ++l) sum += b.params->find("blocks." + std::to_string(l) + ".alpha_attn")->value.item().toDouble() / 11;
    return sum;
  };
  CHECK(mean("none") == doctest::Approx(0.28));
  CHECK(mean("linear") == doctest::Approx(0.280).epsilon(1e-3));
  CHECK(mean("upsidedown_u") == doctest::Approx(0.360).epsilon(2e-3));
  CHECK(mean("downsideup_u") == doctest::Approx(0.232).epsilon(2e-3));
  CHECK(mean("early_mid_late") == doctest::Approx(0.28 * (4 * 0.7 + 4 * 1.3 + 3) / 11).epsilon(1e-6));
}

TEST_CASE("ngpt: derivatives are those of central differences, option by option and all together") {
  const std::vector<std::pair<std::string, core::Value>> cases{
      {"plain", configured({})},
      {"learnt scale", configured({{"logit_scale_learnt", true}, {"logit_scale_per_position", true}})},
      {"static gate", configured({{"gate", "static"}})},
      {"dynamic gate", configured({{"gate", "dynamic"}})},
      {"dual norm", configured({{"dual_norm", true}})},
      {"radius, heads", configured({{"activation_radius", true}, {"per_head_alpha", true}})},
      {"hierarchical", configured({{"hier_norm", true}})},
      {"state dropout", configured({{"dropout", "state"}, {"dropout_p", 0.2}})},
      {"together", configured({{"logit_scale_learnt", true},
                               {"gate", "dynamic_scalar"},
                               {"dual_norm", true},
                               {"activation_radius", true},
                               {"per_head_alpha", true},
                               {"hier_norm", true},
                               {"dropout", "path"},
                               {"dropout_p", 0.5},
                               {"alpha_schedule", "linear"},
                               {"alpha_mlp", 0.35},
                               {"asymmetric_schedule", true}})}};
  for (const auto& [what, options] : cases) {
    core::Value all = configured({{"n_layer", int64_t{2}}, {"n_head", int64_t{2}}, {"n_embd", int64_t{8}}});
    for (const auto& [option, value] : options.as_object()) all[option] = value;
    arch::BuildOptions build;
    build.dtype = at::kDouble;
    check_derivatives(arch::build(arch::find_architecture("ngpt"), all, {11, 6}, build), what);
  }
}

TEST_CASE("ngpt: ten random combinations of the hypotheses are causal, and their derivatives are those of central differences") {
  const std::vector<std::pair<const char*, std::vector<core::Value>>> choices{
      {"alpha_schedule", {"none", "linear", "upsidedown_u", "downsideup_u", "early_mid_late"}},
      {"logit_scale_learnt", {false, true}},
      {"logit_scale_per_position", {false, true}},
      {"gate", {"none", "static", "frozen", "dynamic", "dynamic_scalar"}},
      {"dual_norm", {false, true}},
      {"activation_radius", {false, true}},
      {"per_head_alpha", {false, true}},
      {"hier_norm", {false, true}},
      {"dropout", {"none", "branch", "state", "path"}},
      {"project_first", {false, true}},
      {"alpha_mlp", {0.28, 0.4}}};
  for (uint64_t combination = 0; combination < 10; ++combination) {
    const core::Stream stream(31, "combinations", combination);
    core::Value all = configured({{"n_layer", int64_t{2}}, {"n_head", int64_t{2}}, {"n_embd", int64_t{8}}, {"dropout_p", 0.3}});
    for (size_t i = 0; i < choices.size(); ++i) all[choices[i].first] = choices[i].second[stream.below(i, choices[i].second.size())];
    all["asymmetric_schedule"] = !(all.at("alpha_schedule") == core::Value("none")) && all.at("alpha_mlp").as_double() != 0.28;
    arch::BuildOptions build;
    build.dtype = at::kDouble;
    const arch::Built b = arch::build(arch::find_architecture("ngpt"), all, {11, 6}, build);
    check_derivatives(b, core::to_json(all));
    Tensor changed = tokens();
    changed.narrow(1, 4, 2).copy_((changed.narrow(1, 4, 2) + 3).remainder(11));
    const at::NoGradGuard no_grad;
    b.model->begin({true, 1, 0});
    CHECK(at::equal(b.model->forward(tokens()).narrow(1, 0, 4), b.model->forward(changed).narrow(1, 0, 4)));
    CHECK_FALSE(at::equal(b.model->forward(tokens()), b.model->forward(changed)));
  }
}

TEST_CASE("ngpt_official and orthpar: derivatives are those of central differences") {
  check_derivatives(model("ngpt_official", {}, at::kDouble), "standard");
  check_derivatives(model("ngpt_official", {{"rope", "vendor"}}, at::kDouble), "vendor");
  for (const char* residual : {"plain", "scaled", "intended", "y-norm"})
    check_derivatives(model("orthpar", {{"residual", residual}}, at::kDouble), residual);
}

TEST_CASE("ngpt: rows return to the sphere after update 0, then every seven; the radius walks to its target") {
  const auto longest = [](const arch::Built& b) {
    const Tensor& W = b.params->find("blocks.1.mlp.fc1.weight")->value;
    return at::linalg_vector_norm(W, 2, {1}).max().item().toDouble();
  };
  const at::NoGradGuard no_grad;
  const arch::Built b = model("ngpt", {{"target_radius", 1.1}});
  for (int64_t n = 0; n < 15; ++n) {
    b.params->values().mul_(1.5);
    b.model->after_update({n, 14});
    if (n % 7 == 0) CHECK(longest(b) == doctest::Approx(1 + 0.1 * static_cast<double>(n) / 14).epsilon(1e-6));
    else CHECK(longest(b) > 1.2);
  }
  CHECK(b.params->states().front().value.item().toDouble() == 3);
  const arch::Built first = model("ngpt", {{"project_first", true}, {"projection_radius", 0.95}});
  CHECK(longest(first) == doctest::Approx(0.95).epsilon(1e-6));
}

TEST_CASE("ngpt: the drift schedule projects where some matrix is off by more than the threshold, and not before") {
  const at::NoGradGuard no_grad;
  const arch::Built b = model("ngpt", {{"projection", "drift"}, {"project_first", true}});
  const auto count = [&] { return b.params->states().front().value.item().toDouble(); };
  b.params->values().mul_(1.04);
  b.model->after_update({0, 10});
  CHECK(count() == 0);
  b.params->values().mul_(1.04);
  b.model->after_update({1, 10});
  CHECK(count() == 1);
}

TEST_CASE("the time schedule is a function of step and total alone, wherever one starts to ask, and rounds half up in integers") {
  CHECK(transformer::projection_interval(0, 300) == 5);
  CHECK(transformer::projection_interval(15, 300) == 6);  // 5.5
  CHECK(transformer::projection_interval(299, 300) == 15);
  transformer::TimedProjection through;
  for (int64_t s = 0; s < 200; ++s) {
    transformer::TimedProjection fresh;
    const bool due = through.due(s, 200);
    CHECK(due == fresh.due(s, 200));
    CHECK(due == through.due(s, 200));
  }
  CHECK(through.due(0, 200));
}

TEST_CASE("ngpt: statistics take in an update's lengths once, and only training's") {
  const arch::Built b = model("ngpt", {{"dual_norm", true}, {"projection", "off"}});
  const at::NoGradGuard no_grad;
  const auto M = [&] { return b.params->states()[0].value.item().toDouble(); };
  REQUIRE(b.params->states()[0].name == "blocks.0.dual_attn.M");
  b.model->forward(tokens());
  b.model->after_update({0, 1});
  CHECK(M() == 1);
  logits(b);
  b.model->after_update({1, 1});
  const double once = M();
  CHECK(once != 1);
  b.model->after_update({2, 1});
  CHECK(M() == once);
  logits(b);
  b.model->before_update({3, 1}, tokens());  // a pass that belongs to no update
  b.model->after_update({3, 1});
  CHECK(M() == once);
}

TEST_CASE("ngpt_official: every matrix is normalised along the embedding axis at the start and after an update") {
  const arch::Built b = model("ngpt_official", {});
  const at::NoGradGuard no_grad;
  for (int round = 0; round < 2; ++round) {
    for (const auto& e : b.params->entries()) {
      if (e.shape.size() != 2) continue;
      INFO(e.name);
      const bool columns = e.name.ends_with("out.weight") || e.name.ends_with("proj.weight");
      CHECK((at::linalg_vector_norm(e.value, 2, {columns ? 0 : 1}) - 1).abs().max().item().toDouble() < 1e-6);
    }
    b.params->values().mul_(1.3);
    b.model->after_update({0, 1});
  }
}

TEST_CASE("options of the normalised models that contradict each other are refused, and both are named") {
  CHECK(names_both(refusal("ngpt", {{"alpha_schedule", "linear"}, {"alpha_mlp", 0.35}}), "alpha_schedule=linear", "alpha_mlp=0.35"));
  CHECK(names_both(refusal("ngpt", {{"asymmetric_schedule", true}}), "asymmetric_schedule", "alpha_schedule=none"));
  CHECK(names_both(refusal("ngpt", {{"projection_radius", 0.0}}), "projection=every", "projection_radius=0"));
  CHECK(names_both(refusal("ngpt", {{"projection", "off"}, {"project_first", true}, {"projection_radius", 0.0}}), "project_first",
                   "projection_radius=0"));
  CHECK(names_both(refusal("ngpt", {{"projection", "off"}, {"target_radius", 1.1}}), "target_radius=1.1", "projection=off"));
  CHECK(names_both(refusal("ngpt", {{"n_head", int64_t{3}}}), "n_head=3", "n_embd=8"));
  CHECK(names_both(refusal("ngpt_official", {{"n_head", int64_t{8}}}), "n_head=8", "n_embd=8"));
  CHECK(names_both(refusal("orthpar", {{"residual", "plain"}, {"alpha_init", 1.0}}), "alpha_init", "residual=plain"));
  CHECK(names_both(refusal("gpt2", {{"gate", "static"}}), "gpt2", "gate"));
}
