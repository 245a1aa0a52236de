#pragma once
#include "assay/core/file.h"
#include "assay/train/session.h"

namespace assay::train {

// What a resumed run must know beside weights and moments: integers and recorded choices.
struct Counters {
  int64_t step = 0;               // updates done
  int64_t micro_batch = 0;        // micro-batches consumed
  int64_t optimizer_updates = 0;  // bias correction (differs from step after warm-up updates)
  double elapsed = 0;             // training seconds
  std::string product, data_hash, fingerprint;
  int64_t threads = 0;
};

// A checkpoint is a directory checkpoints/step-NNNNNNNNN/: model.safetensors (parameters by name, the model's own
// statistics as state/NAME), optimizer.safetensors (what optim::Optimizer::state names: exp_avg/NAME, ...), manifest.json (counters, configuration, size and XXH3-128 of each file and of itself). Committed by rename.
void save_checkpoint(core::FileSystem& fs, const std::string& run_directory, const RunConfig& config, arch::Built& built,
                     optim::Optimizer& optimizer, const Counters& counters);

// The newest checkpoint whose manifest and files verify; says (warning) which newer ones it passed over and why. Empty: none.
struct FoundCheckpoint {
  std::string directory;
  core::Value manifest;
  Counters counters() const;
};
std::optional<FoundCheckpoint> newest_checkpoint(const std::string& run_directory);
// One checkpoint directory, or the newest of a run directory. DataError where there is none that verifies.
FoundCheckpoint open_checkpoint(const std::string& directory);

// Loads weights (and the optimizer's state where `optimizer` is given) by name. DataError: a tensor missing, left over, of another shape or dtype, or not finite.
void load_checkpoint(const FoundCheckpoint& found, arch::Built& built, optim::Optimizer* optimizer);
void load_weights(const std::string& safetensors_path, arch::Built& built);

// What a killed process left half-written. Only while holding the run's lock.
void remove_unfinished(core::FileSystem& fs, const std::string& run_directory);

void remove_old_checkpoints(core::FileSystem& fs, const std::string& run_directory, int64_t keep);

}  // namespace assay::train
