#pragma once
#include "assay/tensor/aten.h"

namespace assay::layers {

// Mean natural-log cross-entropy of softmax(logits) against ids. logits [..., V] float32 or float64, targets [...] int64; a target of
// -100 is ignored. Scalar.
Tensor cross_entropy(const Tensor& logits, const Tensor& targets);

// The mean over positions first..last of each row only (components 11.1); first = -1 means all. logits [B, T, V].
Tensor cross_entropy_at(const Tensor& logits_BTV, const Tensor& targets_BT, int64_t first, int64_t last);

}  // namespace assay::layers
