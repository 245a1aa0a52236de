#include <ATen/Parallel.h>
#include <doctest/doctest.h>

#include "assay/audit/audit.h"
#include "assay/core/log.h"

using namespace assay;

namespace {

std::string findings(std::vector<std::string> assignments) {
  core::set_quiet(true);
  at::set_num_threads(1);
  train::RunConfig config(arch::find_architecture("gpt2"));
  for (const char* a : {"train.seq_len=16", "train.threads=1", "train.product=aten", "optim.lr=0.003", "optim.name=adamw",
                        "model.n_layer=2", "model.n_embd=16", "model.n_head=2"})
    config.settings.set_assignment(a, core::Source::command_line);
  for (const std::string& a : assignments) config.settings.set_assignment(a, core::Source::command_line);
  audit::Request request;
  request.level = audit::Level::quick;
  request.vocab = 32;
  request.cache = false;
  std::string all;
  for (const audit::CheckResult& c : audit::audit(config, request, at::kCPU).checks)
    for (const audit::Finding& f : c.findings) all += c.check + " at " + f.where + ": " + f.message + "\n";
  return all;
}

}  // namespace

TEST_CASE("each component of the decoder passes the audit by itself") {
  for (const std::vector<std::string>& component : std::vector<std::vector<std::string>>{
           {"model.norm=rms", "model.position=rotary", "model.n_kv_head=1", "model.qk_norm=true", "model.mlp=swiglu", "model.tied=false"},
           {"model.residual=gated", "model.mlp=relu2", "model.bias=false"},
           {"model.label_smoothing=0.1", "model.z_loss=0.001"},
           {"model.band_fc1=20", "model.band_fc2=11"},
           {"model.band_fc1=20", "model.band_fc2=11", "model.mask_at_init=true", "model.band_storage=packed"},
           {"model.sort_window=4"},
           {"model.sort_window=4", "model.sort_sim=mean"},
           {"model.blend_window=4"},
           {"model.token_shift=blocks", "model.token_shift_learnt=true"},
           {"model.previous_token=true"},
           {"model.hebbian_window=3", "model.hebbian_eps=0.001"},
           {"model.hebbian_window=3", "model.hebbian_eps=0.01", "model.hebbian_learnt=true"}}) {
    INFO(component.front());
    CHECK(findings(component) == "");
  }
}

TEST_CASE("a window of one leaves a sort layer nothing to learn, and the audit names its scalars") {
  const std::string found = findings({"model.sort_window=1"});
  CHECK(found.find("dead parameters at blocks.0.sort.a") != std::string::npos);
}
