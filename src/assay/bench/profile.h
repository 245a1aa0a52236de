#pragma once
#include "assay/train/run_config.h"

namespace assay::bench {

struct ProfileOptions {
  int64_t steps = 3;
  std::string trace;  // where not empty: a Chrome trace goes to this file
};

// Where the time of training updates goes, launched call by call (not as a recorded graph): by kernels on a GPU, by operators' own time on the
// CPU, most expensive first. Keys: name, device, dtype, steps, ms (sum of the entries, a step), entries [{name, calls, ms, share}] where calls and ms
// are of one step. Times come from torch's profiler.
core::Value profile(train::RunConfig& config, const ProfileOptions& options);

}  // namespace assay::bench
