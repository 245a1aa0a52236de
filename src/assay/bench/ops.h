#pragma once
#include "assay/core/value.h"
#include "assay/tensor/aten.h"

namespace assay::bench {

// Times the fused ops alone on random data against this device's own copy bandwidth: {"device", "copy_gb_per_s", "ops": [{"name", "shape", "ms",
// "spread_ms", "bytes", "gb_per_s", "floor_fraction", "composite_ms"}]}. `bytes` are those that the op cannot avoid (each operand once), `floor_fraction` the
// share of the copy's rate; `composite_ms` times the same by ordinary ATen calls. A figure is given only where what is timed, in its precision, gives what the composite or
// a reference in float64 gives; else NumericsError. `quick`: small sizes, which tell nothing of speed.
core::Value bench_ops(const at::Device& device, bool quick = false);

}  // namespace assay::bench
