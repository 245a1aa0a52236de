#pragma once
#include "assay/core/log.h"
#include "assay/tensor/device.h"

namespace assay::bench {

// Host clock around work that ends with a synchronisation.
class Stopwatch {
 public:
  explicit Stopwatch(const at::Device& device) : device_(device) { restart(); }
  void restart() {
    tensor::synchronize(device_);
    start_ = core::monotonic_seconds();
  }
  double lap_ms() {
    tensor::synchronize(device_);
    const double now = core::monotonic_seconds(), ms = 1e3 * (now - start_);
    start_ = now;
    return ms;
  }

 private:
  at::Device device_;
  double start_ = 0;
};

}  // namespace assay::bench
