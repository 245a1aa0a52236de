#pragma once
#include "assay/train/run_config.h"

namespace assay::bench {

// The reference's timed comparison [vocab-space, "Timed comparison command"]: each configuration trains for `minutes` of training time in
// a run directory of its own, directory/NAME, without checkpoints on the way and with one validation at the end. {"minutes", "directory",
// "runs": [{"name", "status", "error", "parameters", "steps", "tokens", "val_loss", "val_bits_per_byte", "train_loss", "tokens_per_s",
// "seconds", "directory"}]}, by validation loss, runs that failed last. Also written to directory/comparison.json. A run that fails is a
// row; a wrong option or an interruption ends it all.
core::Value compare_timed(const std::vector<std::unique_ptr<train::RunConfig>>& configs, double minutes, const std::string& directory);

}  // namespace assay::bench
