#pragma once
#include "assay/tensor/aten.h"

namespace assay::layers {

// Of each row of x [..., n], 1 at the k entries that are largest in size, of equal ones the first, 0 elsewhere; in x's dtype, float32 or float64,
// without a gradient. A NaN counts as largest on the CPU. 1 <= k <= n.
Tensor largest_entries(const Tensor& x, int64_t k);

// The same by sorting, comparing and counting ties: ten tensor operations, on any device.
Tensor largest_entries_by_calls(const Tensor& x, int64_t k);

}  // namespace assay::layers
