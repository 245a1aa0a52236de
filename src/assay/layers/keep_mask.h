#pragma once
#include <string>

#include "assay/tensor/aten.h"

namespace assay::layers {

// A dropout mask of ones (kept, with probability `keep`) and zeros: a function of (seed, name, batch) and of row, position and channel, so
// that a resumed run repeats it, rows do not share it and a prefix has the mask of the whole. positions: the most that the model takes.
// [B, T, C], or [B, T] with C = 0.
Tensor keep_mask(int64_t B, int64_t T, int64_t C, int64_t positions, double keep, uint64_t seed, const std::string& name, uint64_t batch,
                 const at::TensorOptions& options);

}  // namespace assay::layers
