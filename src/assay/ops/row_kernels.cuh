#pragma once
// What kernels share that give a row to a warp. No torch header.
#include <cuda_bf16.h>

#include <cstdint>
#include <type_traits>

namespace assay::ops {

inline constexpr int kWarp = 32, kWarpsOfBlock = 8;

__device__ inline float wide(float x) { return x; }
__device__ inline double wide(double x) { return x; }
__device__ inline float wide(__nv_bfloat16 x) { return __bfloat162float(x); }
__device__ inline void assign(float& to, float x) { to = x; }
__device__ inline void assign(double& to, double x) { to = x; }
__device__ inline void assign(__nv_bfloat16& to, float x) { to = __float2bfloat16_rn(x); }

template <class T>
__device__ T warp_sum(T x) {
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) x += __shfl_xor_sync(0xffffffffu, x, step);
  return x;
}

// A lane's share of a row of n: PER elements, W neighbours at a time. Element j of lane k is column (j / W * 32 + k) * W + j % W.
template <int PER, int W>
struct Lane {
  int lane, n;
  __device__ int column(int j) const { return (j / W * kWarp + lane) * W + j % W; }
  __device__ bool inside(int j) const { return column(j) < n; }  // n is a multiple of W

  template <class S, class T>
  __device__ void load(const S* row, T (&to)[PER]) const {
#pragma unroll
    for (int j = 0; j < PER; j += W) {
      struct alignas(sizeof(S) * W) Pack {
        S e[W];
      } p;
      const bool there = inside(j);
      if (there) p = *reinterpret_cast<const Pack*>(row + column(j));
#pragma unroll
      for (int e = 0; e < W; ++e) to[j + e] = there ? wide(p.e[e]) : T(0);
    }
  }
  template <class S, class F>
  __device__ void store(S* row, const F& value) const {
#pragma unroll
    for (int j = 0; j < PER; j += W) {
      if (!inside(j)) continue;
      struct alignas(sizeof(S) * W) Pack {
        S e[W];
      } p;
#pragma unroll
      for (int e = 0; e < W; ++e) assign(p.e[e], value(j + e));
      *reinterpret_cast<Pack*>(row + column(j)) = p;
    }
  }
};

// to[column] = sum over the block's warps, in their order; `shared` holds n numbers and is free again afterwards. All threads call it.
template <class T, int PER, int W>
__device__ void add_columns(const Lane<PER, W>& at, const T (&sums)[PER], T* shared, T* to) {
  for (int w = 0; w < kWarpsOfBlock; ++w) {
    if (static_cast<int>(threadIdx.x) / kWarp == w) {
#pragma unroll
      for (int j = 0; j < PER; ++j)
        if (at.inside(j)) shared[at.column(j)] = w == 0 ? sums[j] : shared[at.column(j)] + sums[j];
    }
    __syncthreads();
  }
  for (int i = threadIdx.x; i < at.n; i += kWarp * kWarpsOfBlock) to[i] = shared[i];
  __syncthreads();
}

// out[column] = sum over blocks of partial[block][column], in an order that depends on `blocks` alone. 32 columns a block, 8 threads a column.
template <class T>
__global__ void __launch_bounds__(kWarp* kWarpsOfBlock) sum_blocks(const T* partial, int blocks, int n, T* out) {
  __shared__ T shared[kWarpsOfBlock][kWarp];
  const int column = blockIdx.x * kWarp + threadIdx.x, part = threadIdx.y;
  T total = 0;
  if (column < n) {
#pragma unroll 8
    for (int b = part; b < blocks; b += kWarpsOfBlock) total += partial[static_cast<int64_t>(b) * n + column];
  }
  shared[part][threadIdx.x] = total;
  __syncthreads();
  if (part != 0 || column >= n) return;
  total = shared[0][threadIdx.x];
  for (int w = 1; w < kWarpsOfBlock; ++w) total += shared[w][threadIdx.x];
  out[column] = total;
}
template <class T>
void launch_sum_blocks(const void* partial, int blocks, int n, void* out, cudaStream_t stream) {
  sum_blocks<T>
      <<<(n + kWarp - 1) / kWarp, dim3(kWarp, kWarpsOfBlock), 0, stream>>>(static_cast<const T*>(partial), blocks, n, static_cast<T*>(out));
}

// Enough blocks to fill a large GPU twice; rows beyond them are walked.
inline int row_blocks(int64_t rows) {
  const int64_t wanted = (rows + kWarpsOfBlock - 1) / kWarpsOfBlock;
  return static_cast<int>(wanted < 1 ? 1 : wanted > 264 ? 264 : wanted);
}

// Calls f with the template numbers (elements a lane, width of a load) that suit a row of n; false where n is too wide for a warp.
template <class F>
bool with_lane_shape(int64_t n, const F& f) {
  if (n > 2048) return false;
  if (n % 4 != 0) {
    if (n <= 256) f(std::integral_constant<int, 8>(), std::integral_constant<int, 1>());
    else if (n <= 1024) f(std::integral_constant<int, 32>(), std::integral_constant<int, 1>());
    else f(std::integral_constant<int, 64>(), std::integral_constant<int, 1>());
  } else {
    if (n <= 256) f(std::integral_constant<int, 8>(), std::integral_constant<int, 4>());
    else if (n <= 1024) f(std::integral_constant<int, 32>(), std::integral_constant<int, 4>());
    else f(std::integral_constant<int, 64>(), std::integral_constant<int, 4>());
  }
  return true;
}

}  // namespace assay::ops
