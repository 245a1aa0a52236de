#pragma once
#include "assay/train/run_config.h"

namespace assay::bench {

// Robust summary of repeated timings: median, and half the distance between the quartiles.
struct Timing {
  double median_ms = 0, spread_ms = 0;
};
Timing summarize(std::vector<double> milliseconds);

struct BenchOptions {
  int64_t steps = 20, warmup = 3;
};

// Times whole training updates (forward, backward, clipping, optimizer) on random tokens, and their phases. Reports name, device, dtype,
// tokens_per_s, ms, spread_ms, phases {forward_ms, backward_ms, optimizer_ms}, peak_bytes (after the whole updates, the check before them included),
// flops_per_token, gflops, product_gflops, floor_fraction (gflops of the latter, product_rate of time_calls.h), threads, product_backend.
// A figure is printed only behind a green check: the loss and gradients of the timed model are finite and repeat bit for bit.
core::Value bench(train::RunConfig& config, const BenchOptions& options);

}  // namespace assay::bench
