#pragma once
#include <functional>
#include <memory>

#include "assay/tensor/aten.h"

namespace assay::tensor {

// Device work that was recorded once and is launched again as one piece: a step of hundreds of small kernels then costs one launch.
// Addresses are fixed by the recording: what changes from one replay to the next must lie in device memory that the work reads.
class Graph {
 public:
  virtual ~Graph() = default;
  virtual void replay() = 0;
};

// Records the launches of `work` on the current stream of a CUDA device; `work` runs on the host once, its kernels not at all. It must have run
// before (libraries allocate at their first call) and must neither wait for the device nor allocate outside torch's allocator. Null on the CPU.
// Throws what torch throws where something in `work` cannot be recorded.
std::unique_ptr<Graph> capture(const at::Device& device, const std::function<void()>& work);

}  // namespace assay::tensor
