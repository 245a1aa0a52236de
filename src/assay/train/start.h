#pragma once
#include "assay/results/run_directory.h"
#include "assay/train/run_config.h"

namespace assay::train {

// Trains in `directory`, which must be new (`train_new`) or hold an earlier part of the same run (`resume`). Everything is checked - data
// opened, model built - before a new directory is created. Writes config.toml, env.json, metrics.jsonl, checkpoints/, log.txt and, in every
// ending, summary.json. Throws what ended the run: Interrupted after a signal (saved), NumericsError, ...
results::Summary train_new(RunConfig& config, const std::string& directory);

// Goes on from the newest checkpoint that verifies, or from the start where there is none, bit for bit as if never stopped: threads and product
// library are those of the checkpoint; the data must have the recorded hash. `overrides` may move the limits (train.steps,
// train.tokens, train.seconds) and neutral options; ConfigError for others. A run that is done and gets no update more is left as it is.
// DataError where there are checkpoints and none verifies.
results::Summary resume(const std::string& directory, const std::vector<std::string>& overrides);

// config.toml and env.json of a new run; ConfigError where a directory is in use already.
void write_run_files(const RunConfig& config, const std::string& directory);
void require_unused(const std::string& directory);

// Checks a configuration as train_new does and reports what would run; creates nothing. {arch, parameters, total_steps, tokens_per_step,
// vocab_size, training_flops_per_token, product_backend, threads, device, fingerprint, ...}.
core::Value dry_run(RunConfig& config);

}  // namespace assay::train
