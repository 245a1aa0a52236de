#pragma once
#include "assay/tensor/aten.h"

namespace assay::layers {

// Mean natural-log cross-entropy of softmax(logits) against ids. logits [..., V] float32 or float64, targets [...] int64; a target of
// -100 is ignored. Scalar.
Tensor cross_entropy(const Tensor& logits, const Tensor& targets);

// The same for each target by itself, in the shape of the targets.
Tensor token_cross_entropy(const Tensor& logits, const Tensor& targets);

}  // namespace assay::layers
