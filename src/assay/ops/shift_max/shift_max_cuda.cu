// A row has 4, 16, 32 or 256 lanes, by its width; it stays in their registers between its sums and their use.
#include "assay/ops/row_kernels.cuh"
#include "assay/ops/shift_max/shift_max_cuda.h"

namespace assay::ops {
namespace {

constexpr int kWarpsOfBlock = 8, kThreads = kWarp * kWarpsOfBlock;

// phi(u) and its slope, phi(u) / (1 + |u|/k).
template <class T>
struct Weight {
  T w, slope;
};
template <class T>
__device__ Weight<T> weight(T u, T of_k, int k) {
  const T r = fabs(u) * of_k + T(1), h = T(1) / r, base = u >= T(0) ? r : h;
  T w = base;
#pragma unroll 1
  for (int i = 1; i < k; ++i) w *= base;
  return {w, k > 1 ? w * h : u >= T(0) ? T(1) : h * h};
}

// Sum over the lanes of a row, between warps in S. `slots`: of this sum alone, for rows of a whole block; all its threads call it.
template <int LANES, class T, class S>
__device__ S row_sum(T x, S* slots) {
#pragma unroll
  for (int step = (LANES < kWarp ? LANES : kWarp) / 2; step > 0; step /= 2) x += __shfl_xor_sync(0xffffffffu, x, step);
  if constexpr (LANES > kWarp) {
    if (threadIdx.x % kWarp == 0) slots[threadIdx.x / kWarp] = x;
    __syncthreads();
    S total = 0;
#pragma unroll
    for (int w = 0; w < LANES / kWarp; ++w) total += slots[w];
    return total;
  }
  return x;
}

// Of a lane's numbers, in pairs.
template <class T, int N>
__device__ T pairwise_sum(const T (&x)[N]) {
  T part[N / 2];
#pragma unroll
  for (int j = 0; j < N / 2; ++j) part[j] = x[2 * j] + x[2 * j + 1];
  if constexpr (N == 2) return part[0];
  else return pairwise_sum(part);
}

// 1/total, rounded once.
__device__ inline float reciprocal(double total) {
  const float high = static_cast<float>(total), low = static_cast<float>(total - high), r = 1 / high;
  return fmaf(r, fmaf(-high, r, 1.0f) - low * r, r);
}

// Lanes beyond the last row take part in the sums, with zeros.
template <class T, int LANES, int W, bool BACKWARD>
__global__ void __launch_bounds__(kThreads) row_kernel(ShiftMaxArguments a) {
  constexpr int PER = LANES < kWarp ? 2 : 8;
  struct alignas(sizeof(T) * W) Pack {
    T e[W];
  };
  __shared__ T slots[3][kWarpsOfBlock];
  __shared__ double slots_of_total[kWarpsOfBlock];
  const int64_t row = (int64_t{blockIdx.x} * kThreads + threadIdx.x) / LANES;
  const int lane = static_cast<int>(threadIdx.x) % LANES;
  const auto column = [&](int j) { return (j / W * LANES + lane) * W + j % W; };
  const auto in = [&](int j) { return row < a.rows && column(j) < a.n; };
  const auto load = [&](const void* from, T(&to)[PER]) {
#pragma unroll
    for (int j = 0; j < PER; j += W) {
      Pack p = {};
      if (in(j)) p = *reinterpret_cast<const Pack*>(static_cast<const T*>(from) + row * a.n + column(j));
#pragma unroll
      for (int e = 0; e < W; ++e) to[j + e] = p.e[e];
    }
  };
  const auto sum_of = [&](const T(&x)[PER], T* room) {
    T total = 0;
#pragma unroll
    for (int j = 0; j < PER; ++j) total += x[j];
    return row_sum<LANES>(total, room);
  };

  T z[PER], g[PER];
  load(a.z, z);
  if constexpr (BACKWARD) load(a.g, g);
  const T of_n = T(1) / static_cast<T>(a.n), of_tau = T(1) / static_cast<T>(a.tau), of_k = T(1) / static_cast<T>(a.k);
  const T mean = sum_of(z, slots[0]) * of_n;
  const int k = static_cast<int>(a.k);
  T w[PER], slope[PER], along = 0;
#pragma unroll
  for (int j = 0; j < PER; ++j) {
    const Weight<T> x = weight((z[j] - mean) * of_tau, of_k, k);
    w[j] = in(j) ? x.w : T(0);
    slope[j] = in(j) ? x.slope : T(0);
    if constexpr (BACKWARD) along += w[j] * g[j];
  }
  // In pairs, and in double between warps: an error of the total is one of the whole row.
  const double total = row_sum<LANES>(pairwise_sum(w), slots_of_total);
  T of_total;
  if constexpr (sizeof(T) < sizeof(double)) of_total = reciprocal(total);
  else of_total = 1 / total;
  if constexpr (BACKWARD) {
    const T expected = row_sum<LANES>(along, slots[1]) * of_total;
#pragma unroll
    for (int j = 0; j < PER; ++j) z[j] = slope[j] * (g[j] - expected) * (of_total * of_tau);
    const T level = sum_of(z, slots[2]) * of_n;
#pragma unroll
    for (int j = 0; j < PER; ++j) z[j] -= level;
  } else {
#pragma unroll
    for (int j = 0; j < PER; ++j) z[j] = w[j] * of_total;
  }
#pragma unroll
  for (int j = 0; j < PER; j += W) {
    if (!in(j)) continue;
    Pack p;
#pragma unroll
    for (int e = 0; e < W; ++e) p.e[e] = z[j + e];
    *reinterpret_cast<Pack*>(static_cast<T*>(a.out) + row * a.n + column(j)) = p;
  }
}

template <class T, int LANES, int W>
void launch_rows(const ShiftMaxArguments& a) {
  const auto blocks = static_cast<unsigned>((a.rows + kThreads / LANES - 1) / (kThreads / LANES));
  if (a.g != nullptr) row_kernel<T, LANES, W, true><<<blocks, kThreads, 0, a.stream>>>(a);
  else row_kernel<T, LANES, W, false><<<blocks, kThreads, 0, a.stream>>>(a);
}

template <class T, int W>
cudaError_t launch(const ShiftMaxArguments& a) {
  if (a.rows == 0) return cudaSuccess;
  if (a.n > 8 * kThreads || a.rows > INT32_MAX) return cudaErrorInvalidValue;
  if (a.n > 8 * kWarp) launch_rows<T, kThreads, W>(a);
  else if (a.n > 32) launch_rows<T, kWarp, W>(a);
  else if (a.n > 8) launch_rows<T, 16, 1>(a);
  else launch_rows<T, 4, 1>(a);
  return cudaGetLastError();
}

}  // namespace

cudaError_t shift_max(const ShiftMaxArguments& a, bool is_double) {
  if (is_double) return launch<double, 1>(a);
  return in_fours(a.n, sizeof(float), a.g, a.z, a.out) ? launch<float, 4>(a) : launch<float, 1>(a);
}

}  // namespace assay::ops
