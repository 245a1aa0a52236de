#pragma once
#include "assay/core/value.h"
#include "assay/tensor/aten.h"
#include "assay/tensor/graph.h"

namespace assay::tensor {

// "cpu", "cuda" or "cuda:N". The first use of CUDA opens libassay_cuda.so (found beside libassay.so), which brings torch's CUDA
// libraries and our kernels; a program that never asks for CUDA never loads them. DeviceError says what is missing: a build
// without CUDA, a library that does not load, no driver, no such device. ConfigError for any other name. CUDA must be opened before the
// first backward pass of a process: torch looks for it once.
at::Device open_device(std::string_view name);

// Waits for the device; a no-op on the CPU.
void synchronize(const at::Device& device);
// Bytes at the peak since start: resident set on the CPU, allocator on CUDA.
int64_t peak_bytes(const at::Device& device);

// Compute capability of a CUDA device, 90 for 9.0; 0 of the CPU.
int64_t capability(const at::Device& device);

// Bytes that a new tensor may take: on a CUDA device what the driver has left and what our allocator holds unused; on the CPU what the kernel
// can give without swapping, -1 where it does not say.
int64_t free_bytes(const at::Device& device);

// What `assay --version` says: torch, devices, CPU capability.
std::string torch_version();
core::Value device_report();

// What libassay_cuda.so offers to the rest through one exported function, `assay_cuda_interface`.
struct CudaInterface {
  int (*device_count)(std::string* why_none);
  std::string (*device_name)(int index);
  void (*select)(int index);
  void (*synchronize)();
  int64_t (*peak_bytes)(int index);
  std::unique_ptr<Graph> (*capture)(const std::function<void()>& work);
  int64_t (*free_bytes)(int index);
  int64_t (*capability)(int index);
};

}  // namespace assay::tensor
