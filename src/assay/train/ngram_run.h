#pragma once
#include "assay/results/run_directory.h"
#include "assay/train/run_config.h"

namespace assay::train {

// n-gram models as runs: counted on exactly the windows that a trained model with this configuration sees, scored on the same validation
// tokens, with the same files in the run directory (no checkpoints). What a model must beat to have learnt more than short contexts.

// "ngram" or "ngram:5"; the second form also says the order.
bool is_ngram(std::string_view architecture);
// Metadata for a RunConfig (option model.order); not among arch::architectures(), because it has no parameters.
const arch::ArchInfo& ngram_info();
std::unique_ptr<RunConfig> ngram_config(std::string_view architecture);  // ConfigError for an order outside 1..16

// As train_new and dry_run (start.h). ConfigError where the run is limited by time.
results::Summary run_ngram(RunConfig& config, const std::string& directory);
core::Value dry_run_ngram(RunConfig& config);

}  // namespace assay::train
