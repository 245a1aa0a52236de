#pragma once
#include <ATen/Parallel.h>

#include <sstream>
#include <string>

#include "assay/audit/audit.h"
#include "assay/core/log.h"
#include "assay/train/run_config.h"

namespace assay::testing {

// What the quick audit finds in a small decoder, a line each; options of the model as words: "gate=static dual_norm=true".
inline std::string findings_of_decoder(const char* name, const std::string& options) {
  core::set_quiet(true);
  at::set_num_threads(1);
  train::RunConfig config(arch::find_architecture(name));
  for (const char* a : {"train.seq_len=16", "train.threads=1", "train.product=aten", "optim.lr=0.003", "optim.name=adamw",
                        "model.n_layer=2", "model.n_embd=16", "model.n_head=2"})
    config.settings.set_assignment(a, core::Source::command_line);
  std::istringstream words(options);
  for (std::string word; words >> word;) config.settings.set_assignment("model." + word, core::Source::command_line);
  audit::Request request;
  request.level = audit::Level::quick;
  request.vocab = 32;
  request.cache = false;
  std::string all;
  for (const audit::CheckResult& c : audit::audit(config, request, at::kCPU).checks)
    for (const audit::Finding& f : c.findings) all += c.check + " at " + f.where + ": " + f.message + "\n";
  return all;
}

}  // namespace assay::testing
