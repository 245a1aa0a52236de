#pragma once
#include <functional>

#include "assay/bench/bench.h"

namespace assay::bench {

// Milliseconds of one call, from blocks of calls between two waits for the device; the first blocks are not counted.
Timing time_calls(const at::Device& device, const std::function<void()>& call);

// GB/s, read and written, of a copy that no cache holds.
double copy_rate(const at::Device& device);

}  // namespace assay::bench
