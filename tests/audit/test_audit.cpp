#include <ATen/Parallel.h>
#include <ATen/ops/allclose.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "arch/helpers.h"
#include "assay/audit/audit.h"
#include "assay/core/log.h"
#include "assay/core/random.h"
#include "assay/train/start.h"
#include "audit/mutants.h"
#include "train/helpers.h"

using namespace assay;
using testing::Defect;

namespace {

constexpr int64_t kVocab = 32;

audit::Report run_audit(const arch::ArchInfo& info, audit::Level level, std::initializer_list<std::string> assignments,
                        int64_t vocab = kVocab) {
  core::set_quiet(true);
  at::set_num_threads(1);
  train::RunConfig config(info);
  for (const char* a : {"train.seq_len=24", "train.threads=1", "train.product=aten", "optim.lr=0.003"})
    config.settings.set_assignment(a, core::Source::command_line);
  for (const std::string& a : assignments) config.settings.set_assignment(a, core::Source::command_line);
  audit::Request request;
  request.level = level;
  request.vocab = vocab;
  request.cache = false;
  return audit::audit(config, request, at::kCPU);
}

// "causality at blocks.0.attn (...): depends on the future ..." for each finding.
std::vector<std::string> findings(const audit::Report& r) {
  std::vector<std::string> all;
  for (const audit::CheckResult& c : r.checks)
    for (const audit::Finding& f : c.findings) all.push_back(c.check + " at " + f.where + ": " + f.message);
  return all;
}

std::string joined(const audit::Report& r) {
  std::string all;
  for (const std::string& line : findings(r)) all += line + "\n";
  return all;
}

struct Expectation {
  audit::Level level;
  std::string check;
  std::vector<std::string> words;  // of one finding of that check; MIXER is the state behind the first mixer
};

const std::map<Defect, Expectation>& expectations() {
  using audit::Level;
  static const std::map<Defect, Expectation> all = {
      {Defect::mask_off_by_one, {Level::quick, "causality", {"MIXER", "attention", "depends on the future"}}},
      {Defect::reversed_mask, {Level::quick, "causality", {"MIXER", "attention", "depends on the future"}}},
      {Defect::normalised_over_time, {Level::quick, "causality", {"MIXER", "depends on the future"}}},
      {Defect::batch_statistics, {Level::quick, "batch independence", {"MIXER", "other rows"}}},
      {Defect::convolution_padding, {Level::quick, "causality", {"MIXER", "depends on the future"}}},
      {Defect::cache_by_position, {Level::quick, "state", {"MIXER", "kept between"}}},
      {Defect::leak_in_evaluation, {Level::quick, "causality", {"MIXER", "in evaluation only"}}},
      {Defect::leak_in_training, {Level::quick, "causality", {"MIXER", "in training only"}}},
      {Defect::leak_beyond_length, {Level::full, "causality", {"MIXER", "only beyond T=8"}}},
      {Defect::leak_by_gradient, {Level::quick, "causality of gradients", {"MIXER", "derivative by later inputs"}}},
      {Defect::leak_behind_zero, {Level::quick, "causality", {"MIXER", "perturbed weights"}}},
      {Defect::loss_against_input, {Level::quick, "loss", {"the token that the model was given"}}},
      {Defect::target_shifted_twice, {Level::quick, "loss", {"shifted twice"}}},
      {Defect::loss_scaled, {Level::quick, "loss", {"0.5000"}}},
      {Defect::unused_parameter, {Level::quick, "dead parameters", {"extra", "dead"}}},
      {Defect::detached_parameter, {Level::quick, "dead parameters", {"extra", "dead"}}},
      {Defect::gradient_lost, {Level::quick, "gradients", {"extra", "central differences"}}},
      {Defect::parameter_updated_twice, {Level::quick, "update", {"UPDATED", "updated elsewhere"}}},
      {Defect::option_without_effect, {Level::full, "options", {"model.extra"}}},
      {Defect::noise_shared_by_rows, {Level::quick, "noise", {"MIXER", "shared across rows"}}},
      {Defect::noise_not_repeatable, {Level::quick, "noise", {"MIXER", "not a function of seed and batch"}}},
      {Defect::noise_in_evaluation, {Level::quick, "noise", {"MIXER", "two evaluations"}}},
      {Defect::unsaved_statistics, {Level::full, "resume", {"checkpoint misses something"}}},
      {Defect::fails_on_one_token, {Level::quick, "finite", {"MIXER", "on 1 token"}}},
      {Defect::fails_on_constant_input, {Level::quick, "finite", {"MIXER", "on constant input"}}},
  };
  return all;
}

std::string replaced(const std::string& word, const std::string& model) {
  if (word == "MIXER") return model == "v8" ? "hops.0.propagation" : "blocks.0.attn";
  if (word == "UPDATED") return model == "v8" ? "hops.0.propagation.q_scale" : "blocks.0.mlp.fc1.bias";
  return word;
}

bool names(const audit::Report& r, const Expectation& e, const std::string& model) {
  for (const std::string& line : findings(r)) {
    if (!line.starts_with(e.check + " at ")) continue;
    if (std::all_of(e.words.begin(), e.words.end(),
                    [&](const std::string& w) { return line.find(replaced(w, model)) != std::string::npos; }))
      return true;
  }
  return false;
}

}  // namespace

TEST_CASE("the planted models are the real ones: without a defect they give the same logits") {
  const at::NoGradGuard no_grad;
  const arch::Dims dims{kVocab, 24};
  const arch::Built v8 = testing::random_model("v8_lowrank_vv", {{"num_hops", 2}}, kVocab, 24);
  const arch::Built gpt2 = testing::random_model("gpt2", {{"n_layer", 2}, {"n_embd", 16}, {"n_head", 2}}, kVocab, 24);
  const Tensor u = testing::ids(3, 24, [](int64_t r, int64_t t) { return (7 * r + 5 * t + t * t) % kVocab; });
  for (const auto& [name, real] : {std::pair<std::string, const arch::Built*>{"v8", &v8}, {"gpt2", &gpt2}}) {
    INFO(name);
    const arch::Built b = arch::build(testing::mutant(name, Defect::none), core::Value::object(), dims, {});
    REQUIRE(b.params->entries().size() == real->params->entries().size());
    for (const auto& e : b.params->entries()) {
      const auto* other = real->params->find(e.name);
      REQUIRE_MESSAGE(other != nullptr, e.name);
      b.params->view(b.params->values(), e).copy_(real->params->view(real->params->values(), *other));
    }
    CHECK(at::allclose(b.model->forward(u), real->model->forward(u), 1e-4, 1e-4));
  }
}

TEST_CASE("every planted defect is caught and named, in v8 and in gpt2") {
  REQUIRE(expectations().size() == testing::all_defects().size());
  for (const std::string model : {"v8", "gpt2"})
    for (const Defect d : testing::all_defects()) {
      const Expectation& e = expectations().at(d);
      const audit::Report r = run_audit(testing::mutant(model, d), e.level, {});
      INFO(model << ", " << std::string(testing::name_of(d)) << ", found:\n" << joined(r));
      CHECK_FALSE(r.pass());
      CHECK(names(r, e, model));
    }
}

TEST_CASE("the same models without a defect pass the full audit") {
  for (const std::string model : {"v8", "gpt2"}) {
    const audit::Report r = run_audit(testing::mutant(model, Defect::none), audit::Level::full, {});
    INFO(joined(r));
    CHECK(r.pass());
  }
}

TEST_CASE("healthy models are never accused, over seeds and sizes: 60 audits, 200 with ASSAY_LONG_TESTS set") {
  const core::Stream stream(11, "healthy");
  const uint64_t audits = std::getenv("ASSAY_LONG_TESTS") == nullptr ? 60 : 200;
  int accused = 0;
  for (uint64_t i = 0; i < audits; ++i) {
    const auto draw = [&](uint64_t k, int64_t low, int64_t high) {
      return low + static_cast<int64_t>(stream.below(10 * i + k, static_cast<uint64_t>(high - low + 1)));
    };
    const std::string seed = "train.seed=" + std::to_string(draw(0, 0, 1000000)),
                      length = "train.seq_len=" + std::to_string(draw(1, 2, 40));
    const int64_t vocab = draw(2, 2, 90), depth = draw(3, 1, 4);
    const audit::Report r =
        i % 2 == 0 ? run_audit(arch::find_architecture("v8"), audit::Level::quick,
                               {seed, length, "model.num_hops=" + std::to_string(depth),
                                "model.interaction_rank=" + std::to_string(draw(4, 1, 12))},
                               vocab)
                   : run_audit(arch::find_architecture("gpt2"), audit::Level::quick,
                               {seed, length, "model.n_layer=" + std::to_string(depth), "model.n_head=" + std::to_string(draw(4, 1, 3)),
                                "model.n_embd=" + std::to_string(6 * draw(5, 1, 6))},
                               vocab);
    if (r.pass()) continue;
    ++accused;
    MESSAGE(std::string(r.name) << " seed " << seed << " " << length << " vocab " << vocab << " depth " << depth << ":\n" << joined(r));
  }
  CHECK(accused == 0);
}

TEST_CASE("the shipped reversed mask is refused, and its attention is named") {
  const audit::Report r =
      run_audit(arch::find_architecture("v8_lowrank_vv"), audit::Level::quick, {"model.num_hops=2", "compat.reversed_mask=true"});
  CHECK_FALSE(r.pass());
  CHECK(joined(r).find("causality at hops.0.propagation (the model's mixer is decay linear attention") != std::string::npos);
}

TEST_CASE("training the reversed mask on uniform tokens beats what no honest model can beat, and the audit says so") {
  const audit::Report r = run_audit(arch::find_architecture("v8_lowrank_vv"), audit::Level::full,
                                    {"model.num_hops=2", "compat.reversed_mask=true", "optim.lr=0.03"});
  INFO(joined(r));
  CHECK(joined(r).find("uniform tokens at uniform tokens: pays") != std::string::npos);
}

TEST_CASE("a report survives its JSON form, and its fingerprint follows options, level and vocabulary") {
  const audit::Report r = run_audit(testing::mutant("gpt2", Defect::mask_off_by_one), audit::Level::quick, {});
  const audit::Report again = audit::Report::from_value(core::parse_json(core::to_json(r.to_value()), "report"));
  CHECK(core::to_json(again.to_value()) == core::to_json(r.to_value()));
  train::RunConfig config(arch::find_architecture("gpt2"));
  audit::Request request;
  request.vocab = 32;
  const std::string before = audit::audit_fingerprint(config, request);
  CHECK(audit::audit_fingerprint(config, request) == before);
  request.level = audit::Level::quick;
  CHECK(audit::audit_fingerprint(config, request) != before);
  request.level = audit::Level::full;
  request.vocab = 33;
  CHECK(audit::audit_fingerprint(config, request) != before);
  request.vocab = 32;
  config.settings.set_assignment("model.n_layer=3", core::Source::command_line);
  CHECK(audit::audit_fingerprint(config, request) != before);
}

TEST_CASE("results are kept in the user's cache and taken from there; a damaged file is made anew") {
  core::set_quiet(true);
  train::RunConfig config(arch::find_architecture("gpt2"));
  for (const char* a : {"train.seq_len=8", "model.n_layer=1", "model.n_embd=8", "model.n_head=2"})
    config.settings.set_assignment(a, core::Source::command_line);
  audit::Request request;
  request.level = audit::Level::quick;
  request.vocab = 16;
  const audit::Report first = audit::audit(config, request, at::kCPU), second = audit::audit(config, request, at::kCPU);
  CHECK(first.pass());
  CHECK(second.seconds() == first.seconds());  // the same measurement, not a second one
  const std::string file = core::user_cache() + "/audits/" + first.fingerprint + ".json";
  REQUIRE(std::filesystem::exists(file));
  std::filesystem::resize_file(file, 40);
  CHECK(audit::audit(config, request, at::kCPU).pass());
  CHECK(std::filesystem::file_size(file) > 40);
}
