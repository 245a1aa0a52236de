#pragma once
#include <optional>

#include "assay/train/run_config.h"
#include "assay/train/step.h"

namespace assay::bench {

// Robust summary of repeated timings: median, and half the distance between the quartiles, which fewer than three do not have.
struct Timing {
  double median_ms = 0;
  std::optional<double> spread_ms;
  int64_t samples = 0;

  core::Value spread() const { return spread_ms ? core::Value(*spread_ms) : core::Value(); }  // null where there is none
};
Timing summarize(std::vector<double> milliseconds);  // at least one

struct BenchOptions {
  int64_t steps = 20;  // samples
  int64_t warmup = 3;  // updates before the first of them
};

// Updates run in groups between two waits for the device: of five on a GPU, as one recorded graph is launched after another in training, of one
// on the CPU. A group is a sample, the time of one of its updates.
struct UpdateGroups {
  int64_t together;  // updates of a group
  int64_t warmup;    // groups before the first sample: as many as hold the updates that were wanted
  int64_t samples;
};
UpdateGroups update_groups(const BenchOptions& options, bool cuda);

// The check before a model is timed. NumericsError where its loss or a gradient is not finite, or where two passes over one batch differ in a
// bit. Whether the values are right is for `assay parity` and `assay audit` to say.
void require_green(const arch::Built& built, const train::Batch& batch);

// Times whole training updates (forward, backward, clipping, optimizer) on random tokens, and their phases. Reports name, device, dtype,
// tokens_per_s, ms, spread_ms (null below three samples), samples, phases {forward_ms, backward_ms, optimizer_ms}, peak_bytes (after the whole
// updates, the check before them included), flops_per_token, gflops, product_gflops, floor_fraction (gflops of the latter, product_rate of
// time_calls.h), threads, product_backend. A figure is printed only behind require_green.
core::Value bench(train::RunConfig& config, const BenchOptions& options);

}  // namespace assay::bench
