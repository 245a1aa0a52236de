#pragma once
#include <span>

#include "assay/train/session.h"

namespace assay::train {

// One update: the model's own changes, forward and backward of every micro-batch (each contributes 1/A of its mean loss), global clipping,
// optimizer, the model's changes after it.
struct StepResult {
  double loss = 0;       // mean over the micro-batches, before the update
  double grad_norm = 0;  // global L2 before clipping
};

// NumericsError where a loss or the gradient is not finite: names the update and the first state or gradient that went bad. Weights,
// moments and counters are untouched then.
StepResult training_step(const arch::Built& built, optim::Optimizer& optimizer, std::span<const Batch> micro_batches, double lr,
                         double clip, const arch::Update& update, const arch::Pass& first = {.training = true});

// The first parameter, state or gradient that is not finite, for a message; `micro_batches` are evaluated again.
std::string first_nonfinite(const arch::Built& built, std::span<const Batch> micro_batches);

// Forward and backward alone, gradients accumulated into params.grads() after zeroing them; -> mean loss. `first` belongs to the first
// micro-batch; the others count on from it.
double accumulate_gradients(const arch::Built& built, std::span<const Batch> micro_batches, arch::Pass first = {.training = true});

}  // namespace assay::train
