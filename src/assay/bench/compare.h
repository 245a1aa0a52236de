#pragma once
#include <functional>

#include "assay/train/start.h"

namespace assay::bench {

// The reference's timed comparison [vocab-space, "Timed comparison command"]: each configuration trains for `minutes` of training time in
// a run directory of its own, directory/NAME, without checkpoints on the way and with one validation at the end. {"minutes", "directory",
// "runs": [{"name", "status", "error", "parameters", "steps", "tokens", "val_loss", "val_bits_per_byte", "train_loss", "tokens_per_s",
// "seconds", "directory"}]}, by validation loss, runs that failed last. Also written to directory/comparison.json. A run that fails, in whatever
// way, is a row. An interruption ends it all. Before the first run starts: ConfigError or DataError for what one of the runs would refuse, for an
// architecture named twice, for a directory that holds one of the runs already. `train_one` trains one of them.
using TrainOne = std::function<results::Summary(train::RunConfig& config, const std::string& directory)>;
core::Value compare_timed(const std::vector<std::unique_ptr<train::RunConfig>>& configs, double minutes, const std::string& directory,
                          const TrainOne& train_one = train::train_new);

}  // namespace assay::bench
