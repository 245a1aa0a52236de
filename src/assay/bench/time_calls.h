#pragma once
#include <functional>

#include "assay/bench/bench.h"
#include "assay/tensor/product.h"

namespace assay::bench {

// Milliseconds of one call, from blocks of calls between two waits for the device; the first blocks are not counted.
// On a GPU the calls of a block are recorded and replayed where `recorded`, as training does with them: the host takes longer to make a
// call than a kernel on narrow rows runs. (Not for copies: one in a graph is slower than one launched.)
Timing time_calls(const at::Device& device, bool recorded, const std::function<void()>& call);
Timing time_calls(const at::Device& device, const std::function<void()>& call);  // not recorded

// GB/s, read and written, of a copy that no cache holds.
double copy_rate(const at::Device& device);

// GFLOP/s of one large product of random operands in the step's precision (8192^3 on CUDA, 1024^3 on the CPU): what a step's arithmetic is
// compared with, so the best of three bursts.
double product_rate(const at::Device& device, tensor::Precision precision);

}  // namespace assay::bench
