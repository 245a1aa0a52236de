#pragma once
#include <string>
#include <vector>

#include "assay/train/evaluate.h"

namespace assay::inspect {

// How well a model's confidence fits its hits, for several ways to make probabilities of the same logits [components 9.6]: softmax(z / T), and
// ShiftMax_k with temperature tau (layers/shift_max.h). Fair only at equal accuracy and with one temperature tuned for each way, so each stands as it
// is and tuned: the temperature of least likelihood loss on the first half of the positions; all figures are of the second half.
struct Calibration {
  std::string probabilities;  // "softmax", "shiftmax k=2"
  bool tuned = false;
  bool at_limit = false;  // tuned: nothing is gained between here and an end of the search, e^-16 or e^16, so that the best may lie beyond
  double temperature = 1;
  double accuracy = 0, confidence = 0;  // share of hits of the largest probability, and its mean
  double calibration_error = 0;         // over 15 equal bins of confidence: mean distance of accuracy and confidence [Guo et al. 2017]
  double nll = 0, brier = 0;            // nats a position; sum over classes of the squared error
};

// logits [N, V] float32 or float64, targets [N] int64. ConfigError for fewer than 4 positions.
std::vector<Calibration> calibrations(const Tensor& logits_NV, const Tensor& targets_N);

// On validation windows from the first on, as many as `positions` that count; an id that softmax never gives more than e^-50 and
// that is no target is left out. ConfigError where there is no such window.
std::vector<Calibration> calibrations(const arch::Built& built, const train::EvaluationRequest& request, int64_t positions);

core::Value to_value(const std::vector<Calibration>& all);  // [{probabilities, tuned, temperature, accuracy, ...}]
std::string to_text(const std::vector<Calibration>& all);

}  // namespace assay::inspect
