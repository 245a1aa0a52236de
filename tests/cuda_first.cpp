// Linked into the programs whose tests use a GPU, where there is one: torch looks for CUDA once in a process, at the first backward pass at the latest,
// and cases may run in any order.
#include "assay/core/error.h"
#include "assay/tensor/device.h"

namespace {

[[maybe_unused]] const bool opened = [] {
  try {
    return assay::tensor::open_device("cuda").is_cuda();
  } catch (const assay::core::DeviceError&) {
    return false;  // each case says why it is skipped
  }
}();

}  // namespace
