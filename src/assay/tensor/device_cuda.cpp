// The part of libassay_cuda.so that is not a kernel: what device.cpp asks of CUDA.
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include "assay/tensor/device.h"

namespace assay::tensor {

std::unique_ptr<Graph> capture_cuda(const std::function<void()>& work);  // graph_cuda.cpp

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

// All work goes to a stream of our own: the default stream cannot be captured.
void select_device(int index) {
  const auto device = static_cast<c10::DeviceIndex>(index);
  c10::cuda::set_device(device);
  c10::cuda::setCurrentCUDAStream(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device));
}
void wait_for_device() { c10::cuda::device_synchronize(); }

int64_t peak_allocated(int index) {
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(static_cast<c10::DeviceIndex>(index));
  return stats.allocated_bytes[0].peak;
}

int64_t free_bytes_of(int index) {
  size_t left = 0, all = 0;
  if (cudaMemGetInfo(&left, &all) != cudaSuccess) return 0;
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(static_cast<c10::DeviceIndex>(index));
  return static_cast<int64_t>(left) + stats.reserved_bytes[0].current - stats.allocated_bytes[0].current;
}

int64_t capability_of(int index) {
  int major = 0, minor = 0;
  cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, index);
  cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, index);
  return 10 * major + minor;
}

constexpr CudaInterface interface{&device_count,   &device_name,  &select_device, &wait_for_device,
                                  &peak_allocated, &capture_cuda, &free_bytes_of, &capability_of};

}  // namespace
}  // namespace assay::tensor

extern "C" __attribute__((visibility("default"))) const assay::tensor::CudaInterface* assay_cuda_interface() {
  return &assay::tensor::interface;
}
