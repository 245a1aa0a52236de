#pragma once
#include "assay/train/run_config.h"

namespace assay::train {

struct MemoryItem {
  std::string name;
  double bytes = 0;
};

// What training allocates besides weights and gradients, which are there once the model is: the optimizer's moments, the states kept for the
// backward pass (from the architecture's cost formula; half of float32 where products are bfloat16 on a GPU), and the batch. Largest first.
std::vector<MemoryItem> predict_memory(const RunConfig& config, int64_t parameters, int64_t data_vocab);

// ResourceError with the bytes wanted, those free and the largest items where the prediction cannot fit. States are predicted to about a
// quarter, so that something near the limit is tried; a warning says so. free < 0: unknown, nothing is checked.
void require_memory(const std::vector<MemoryItem>& items, int64_t free);

}  // namespace assay::train
