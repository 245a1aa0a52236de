#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAFunctions.h>

#include "assay/tensor/device.h"
#include "assay/tensor/graph.h"

namespace assay::tensor {
namespace {

class CudaGraph final : public Graph {
 public:
  explicit CudaGraph(const std::function<void()>& work) {
    c10::cuda::device_synchronize();
    graph_.capture_begin();
    try {
      work();
    } catch (...) {
      try {
        graph_.capture_end();  // leaves the stream as it was; the first error is the one that counts
      } catch (const std::exception&) {}
      throw;
    }
    graph_.capture_end();
  }
  void replay() override { graph_.replay(); }

 private:
  at::cuda::CUDAGraph graph_;
};

}  // namespace

std::unique_ptr<Graph> capture_cuda(const std::function<void()>& work) { return std::make_unique<CudaGraph>(work); }

}  // namespace assay::tensor
