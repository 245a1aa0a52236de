#pragma once
#include "assay/train/run_config.h"

namespace assay::bench {

struct ProfileOptions {
  int64_t steps = 3;
  std::string trace;  // where not empty: a Chrome trace goes to this file
};

// Where the time of training updates goes, launched call by call (not as a recorded graph). {"name", "device", "dtype", "batch", "seq_len",
// "vocab_size", "steps", "parameters", "threads", "product_backend", "copy_gb_per_s", "product_gflops", "formula_flops", "phases": [{"name", "ms",
// "spread_ms", "flops", "bytes", "gflops", "gb_per_s", "flops_per_byte", "floor_ms", "floor_fraction"}], "ms", "entries": [{"name", "calls", "ms",
// "share", "flops", "bytes"}]}.
//   phases         forward, backward, optimizer (with clipping): clock around each of them, with a wait for the device in between
//   flops, bytes   of one update, as counted by call_counter.h; formula_flops: of the architecture's cost formula, for comparison
//   floor_ms       the longer of flops at product_gflops and bytes at copy_gb_per_s;  floor_fraction: floor_ms / ms
//   entries        by kernels on a GPU, by operators' own time on the CPU, most expensive first, from torch's profiler; ms: their sum, a step.
//                  flops and bytes are null for kernels, and for operators that only call others, make views or allocate
// Only behind require_green of bench.h. ResourceError where memory does not suffice, as `bench`, or where the trace cannot be written.
core::Value profile(train::RunConfig& config, const ProfileOptions& options);

}  // namespace assay::bench
