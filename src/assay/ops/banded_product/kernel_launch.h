#pragma once
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdint>

namespace assay::ops {

inline int64_t device_attribute(cudaDeviceAttr which) {
  int device = 0, value = 0;
  const bool known = cudaGetDevice(&device) == cudaSuccess && cudaDeviceGetAttribute(&value, which, device) == cudaSuccess;
  return known ? value : 0;
}

inline int64_t most_shared_memory() { return device_attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin); }  // of a block

// Blocks with `bytes` of shared memory each that the current device holds at once, at most `most` on a multiprocessor.
inline int64_t block_slots(int64_t bytes, int64_t most) {
  constexpr int64_t kReserved = 1024;  // of each block, by the driver
  const int64_t fit = device_attribute(cudaDevAttrMaxSharedMemoryPerMultiprocessor) / (bytes + kReserved);
  return device_attribute(cudaDevAttrMultiProcessorCount) * std::clamp<int64_t>(fit, 1, most);
}

// Into how many shares `tiles` go where `columns` blocks take each share: as many as fill the slots, but none that would leave others with the same number
// of tiles.
inline int64_t shares_of(int64_t tiles, int64_t slots, int64_t columns) {
  const int64_t most = std::clamp<int64_t>(slots / columns, 1, std::min<int64_t>(tiles, 65535)), each = (tiles + most - 1) / most;
  return (tiles + each - 1) / each;
}

// A launch with `bytes` of shared memory, which may be more than a kernel gets unasked. The permission is the kernel's, not the launch's, and threads may
// launch at the same time: all ask for the same.
template <class... A>
cudaError_t launch(void (*kernel)(A...), dim3 grid, int threads, int64_t bytes, cudaStream_t stream, A... arguments) {
  const void* function = reinterpret_cast<const void*>(kernel);
  const cudaError_t error =
      cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(most_shared_memory()));
  if (error != cudaSuccess) return error;
  void* all[] = {&arguments...};
  return cudaLaunchKernel(function, grid, dim3(static_cast<unsigned>(threads)), all, static_cast<size_t>(bytes), stream);
}

}  // namespace assay::ops
