#include <cuda_bf16.h>

#include "assay/ops/adam/adam_cuda.h"
#include "assay/ops/adam/update_numbers.h"

namespace assay::ops {
namespace {

constexpr int kThreads = 256;
constexpr int kMostBlocks = 1024;

// Sum over the block in a fixed order.
__device__ double block_sum(double x) {
  __shared__ double partial[kThreads];
  partial[threadIdx.x] = x;
  __syncthreads();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) partial[threadIdx.x] += partial[threadIdx.x + half];
    __syncthreads();
  }
  return partial[0];
}

template <class T>
struct alignas(16) Vector {
  static constexpr int kWidth = 16 / sizeof(T);
  T x[kWidth];
};

// Flat buffers are padded to 64 bytes and zero there, so whole vectors can be read.
template <class T>
__global__ void __launch_bounds__(kThreads) square_kernel(const T* grads, int64_t size, double* partial) {
  using V = Vector<T>;
  const V* v = reinterpret_cast<const V*>(grads);
  const int64_t vectors = size / V::kWidth, stride = int64_t{gridDim.x} * kThreads;
  double sum = 0;
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < vectors; i += stride) {
    const V g = v[i];
    T part = 0;
#pragma unroll
    for (int j = 0; j < V::kWidth; ++j) part += g.x[j] * g.x[j];
    sum += static_cast<double>(part);
  }
  if (blockIdx.x == 0 && threadIdx.x == 0)
    for (int64_t i = vectors * V::kWidth; i < size; ++i) sum += static_cast<double>(grads[i]) * static_cast<double>(grads[i]);
  const double total = block_sum(sum);
  if (threadIdx.x == 0) partial[blockIdx.x] = total;
}

template <class T>
__global__ void __launch_bounds__(kThreads) decide_kernel(DecideArguments a, int blocks) {
  double sum = 0;
  for (int i = threadIdx.x; i < blocks; i += kThreads) sum += a.partial[i];
  const double total = block_sum(sum);
  if (threadIdx.x == 0)
    decide(*static_cast<ControlSlots*>(a.control), total, static_cast<double>(*static_cast<const T*>(a.loss)), a.log, a.log_rows, a.beta1,
           a.beta2);
}

__device__ void store_shadow(__nv_bfloat16* shadow, const Vector<float>& p) {
  __nv_bfloat162 pair[2] = {__floats2bfloat162_rn(p.x[0], p.x[1]), __floats2bfloat162_rn(p.x[2], p.x[3])};
  *reinterpret_cast<uint2*>(shadow) = *reinterpret_cast<const uint2*>(pair);
}
__device__ void store_shadow(__nv_bfloat16* shadow, const Vector<double>& p) {
  for (int j = 0; j < 2; ++j) shadow[j] = __float2bfloat16_rn(static_cast<float>(p.x[j]));
}

// A block a chunk; chunks begin on 64-byte boundaries and their ends are padded, except where the buffer itself ends.
template <class T>
__global__ void __launch_bounds__(kThreads) adam_kernel(AdamArguments a) {
  using V = Vector<T>;
  const ControlSlots c = *static_cast<const ControlSlots*>(a.control);
  if (c.applied == 0) return;
  const double* chunk = a.chunks + 4 * blockIdx.x;
  const auto begin = static_cast<int64_t>(chunk[0]), end = static_cast<int64_t>(chunk[1]);
  const ChunkNumbers<T> n = chunk_numbers<T>(c, chunk[2], chunk[3], a.beta1, a.beta2, a.eps, a.decoupled);
  T *values = static_cast<T*>(a.values), *first = static_cast<T*>(a.first), *second = static_cast<T*>(a.second);
  const T* grads = static_cast<const T*>(a.grads);
  auto* shadow = static_cast<__nv_bfloat16*>(a.shadow);
  const int64_t whole = begin + (end - begin) / V::kWidth * V::kWidth;
  for (int64_t i = begin + threadIdx.x * V::kWidth; i < whole; i += kThreads * V::kWidth) {
    V p = *reinterpret_cast<const V*>(values + i), m = *reinterpret_cast<const V*>(first + i), v = *reinterpret_cast<const V*>(second + i);
    const V g = *reinterpret_cast<const V*>(grads + i);
#pragma unroll
    for (int j = 0; j < V::kWidth; ++j) adam_element(p.x[j], g.x[j], m.x[j], v.x[j], n);
    *reinterpret_cast<V*>(values + i) = p;
    *reinterpret_cast<V*>(first + i) = m;
    *reinterpret_cast<V*>(second + i) = v;
    if (shadow != nullptr) store_shadow(shadow + i, p);
  }
  for (int64_t i = whole + threadIdx.x; i < end; i += kThreads) {
    adam_element(values[i], grads[i], first[i], second[i], n);
    if (shadow != nullptr) shadow[i] = __float2bfloat16_rn(static_cast<float>(values[i]));
  }
}

}  // namespace

int decide_blocks(int64_t size) {
  const int64_t wanted = (size + 16 * kThreads - 1) / (16 * kThreads);
  return static_cast<int>(wanted < 1 ? 1 : wanted > kMostBlocks ? kMostBlocks : wanted);
}

cudaError_t decide_update(const DecideArguments& a, bool is_double) {
  const int blocks = decide_blocks(a.size);
  if (is_double) {
    square_kernel<<<blocks, kThreads, 0, a.stream>>>(static_cast<const double*>(a.grads), a.size, a.partial);
    decide_kernel<double><<<1, kThreads, 0, a.stream>>>(a, blocks);
  } else {
    square_kernel<<<blocks, kThreads, 0, a.stream>>>(static_cast<const float*>(a.grads), a.size, a.partial);
    decide_kernel<float><<<1, kThreads, 0, a.stream>>>(a, blocks);
  }
  return cudaGetLastError();
}

cudaError_t adam_update(const AdamArguments& a, bool is_double) {
  if (a.chunk_count == 0) return cudaSuccess;
  if (is_double) adam_kernel<double><<<static_cast<unsigned>(a.chunk_count), kThreads, 0, a.stream>>>(a);
  else adam_kernel<float><<<static_cast<unsigned>(a.chunk_count), kThreads, 0, a.stream>>>(a);
  return cudaGetLastError();
}

}  // namespace assay::ops
