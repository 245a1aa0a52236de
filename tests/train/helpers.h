#pragma once
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "assay/core/file.h"
#include "assay/results/run_directory.h"
#include "assay/train/start.h"
#include "core/scratch.h"

namespace assay::testing {

using test::Scratch;

// A run that takes about a second: tiny model, generated text, one thread.
inline std::unique_ptr<train::RunConfig> tiny_run(const char* arch, std::initializer_list<const char*> more = {}) {
  auto config = std::make_unique<train::RunConfig>(arch::find_architecture(arch));
  config->name = "tiny";
  for (const char* a : {"data.corpus_tokens=20000", "data.corpus_val_tokens=2000", "train.batch=2", "train.seq_len=32", "train.threads=1",
                        "train.product=aten", "train.steps=20", "train.log_every=3", "optim.lr=0.01"})
    config->settings.set_assignment(a, core::Source::command_line);
  const bool decoder = config->architecture->schema().find("n_embd") != nullptr;
  config->settings.set_assignment(decoder ? "model.n_embd=16" : "model.num_hops=2", core::Source::command_line);
  for (const char* a : more) config->settings.set_assignment(a, core::Source::command_line);
  return config;
}

}  // namespace assay::testing
