// The part of libassay_cuda.so that is not a kernel: what device.cpp asks of CUDA.
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <cuda_runtime_api.h>

#include "assay/tensor/device.h"

namespace assay::tensor {
namespace {

int device_count(std::string* why_none) {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) {
    cudaGetLastError();  // the error is reported here; later calls start clean
    *why_none = cudaGetErrorString(error);
    return 0;
  }
  if (count == 0) *why_none = "the driver reports no device";
  return count;
}

std::string device_name(int index) {
  cudaDeviceProp properties{};
  return cudaGetDeviceProperties(&properties, index) == cudaSuccess ? properties.name : "unknown";
}

void select_device(int index) { c10::cuda::set_device(static_cast<c10::DeviceIndex>(index)); }
void wait_for_device() { c10::cuda::device_synchronize(); }

int64_t peak_allocated(int index) {
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(static_cast<c10::DeviceIndex>(index));
  return stats.allocated_bytes[0].peak;
}

constexpr CudaInterface interface{&device_count, &device_name, &select_device, &wait_for_device, &peak_allocated};

}  // namespace
}  // namespace assay::tensor

extern "C" __attribute__((visibility("default"))) const assay::tensor::CudaInterface* assay_cuda_interface() {
  return &assay::tensor::interface;
}
