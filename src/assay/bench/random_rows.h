#pragma once
#include "assay/data/loader.h"
#include "assay/train/run_config.h"

namespace assay::bench {

// Uniform tokens and targets: what a step costs does not depend on the text.
data::Rows random_rows(int64_t rows, int64_t length, int64_t vocab, uint64_t seed);

// The configured vocabulary, or 1024 where it is the data's.
int64_t vocabulary_of(const train::RunConfig& config);

}  // namespace assay::bench
