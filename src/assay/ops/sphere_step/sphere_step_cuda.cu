// A row a few warps, kept in registers between the reduction and its use; a block walks rows, so that the sums over rows stay in registers.
#include "assay/ops/row_kernels.cuh"
#include "assay/ops/sphere_step/sphere_step_cuda.h"

namespace assay::ops {
namespace {

template <class T>
__device__ T sigmoid(T x) {
  return 1 / (1 + exp(-x));
}

// alpha sigmoid(gate) of this thread's columns; both may be absent.
template <class T, int WARPS, int W, class A>
__device__ void load_step(const Lane<WARPS, W>& at, const A& a, T (&step)[kLanePart]) {
  const T alpha = a.alpha != nullptr ? *static_cast<const T*>(a.alpha) : T(1);
  T gate[kLanePart];
  at.template load_if<T>(a.gate, 0, gate);
#pragma unroll
  for (int j = 0; j < kLanePart; ++j) step[j] = a.gate != nullptr ? alpha * sigmoid(gate[j]) : alpha;
}

template <class T, class Z, int WARPS, int W>
__global__ void __launch_bounds__(RowShape<WARPS>::kThreads, resident_blocks<T, WARPS>()) forward_kernel(SphereArguments a) {
  __shared__ T slots[RowSums<T, WARPS, 1>::kSlots];
  RowSums<T, WARPS, 1> sums(slots);
  const Lane<WARPS, W> at(a.n);
  T step[kLanePart];
  load_step(at, a, step);
  for (int64_t row = at.first_row(); row < a.rows; row += at.row_step()) {
    T h[kLanePart], rho[kLanePart];
    at.load(static_cast<const T*>(a.x) + row * a.n, h);
    at.template load_if<Z>(a.rho, row, rho);
    T square[1] = {0};
#pragma unroll
    for (int j = 0; j < kLanePart; ++j) {
      if (a.rho != nullptr) h[j] += step[j] * rho[j];
      square[0] += h[j] * h[j];
    }
    sums.all(at, square);
    const T r = 1 / sqrt(square[0] + static_cast<T>(a.eps));
    at.store(static_cast<T*>(a.y) + row * a.n, [&](int j) { return h[j] * r; });
    if (a.narrow != nullptr)
      at.store(static_cast<__nv_bfloat16*>(a.narrow) + row * a.n, [&](int j) { return static_cast<float>(h[j] * r); });
    if (at.lane == 0) static_cast<T*>(a.r)[row] = r;
  }
}

// SUMS: alpha or gate is there, so that dx rho is summed over rows.
template <class T, class Z, bool SUMS, int WARPS, int W>
__global__ void __launch_bounds__(RowShape<WARPS>::kThreads, resident_blocks<T, WARPS>()) backward_kernel(SphereBackwardArguments a) {
  extern __shared__ __align__(16) unsigned char raw[];
  __shared__ T slots[RowSums<T, WARPS, 1>::kSlots];
  RowSums<T, WARPS, 1> sums(slots);
  const Lane<WARPS, W> at(a.n);
  T step[kLanePart], G[1][kLanePart] = {};
  load_step(at, a, step);
  for (int64_t walked = at.first_row(); walked < at.even_end(a.rows); walked += at.row_step()) {
    const bool there = at.has_row(walked, a.rows);
    const int64_t row = there ? walked : 0;
    T y[kLanePart], u[kLanePart], other[kLanePart], rho[kLanePart];
    at.load(static_cast<const T*>(a.y) + row * a.n, y);
    at.template load_if<T>(a.dy, row, u);
    at.template load_if<__nv_bfloat16>(a.dnarrow, row, other);
    if (SUMS) at.load(static_cast<const Z*>(a.rho) + row * a.n, rho);
    const T r = static_cast<const T*>(a.r)[row];
    T along[1] = {0};
#pragma unroll
    for (int j = 0; j < kLanePart; ++j) {
      u[j] += other[j];
      along[0] += u[j] * y[j];
    }
    sums.all(at, along);
    if (!there) continue;
#pragma unroll
    for (int j = 0; j < kLanePart; ++j) {
      u[j] = r * (u[j] - along[0] * y[j]);
      if (SUMS) G[0][j] += u[j] * rho[j];
    }
    at.store(static_cast<T*>(a.dx) + row * a.n, [&](int j) { return u[j]; });
    if (a.drho != nullptr) at.store(static_cast<Z*>(a.drho) + row * a.n, [&](int j) { return step[j] * u[j]; });
  }
  if (SUMS) add_columns(at, G, reinterpret_cast<T*>(raw), static_cast<T*>(a.partial) + int64_t{blockIdx.x} * at.n);
}

// From G [n]: dgate = G alpha sigmoid'(gate), dalpha = sum sigmoid(gate) G. One block.
constexpr int kGateThreads = 256;
template <class T>
__global__ void __launch_bounds__(kGateThreads) gate_kernel(SphereBackwardArguments a) {
  __shared__ T parts[kGateThreads];
  const T alpha = a.alpha != nullptr ? *static_cast<const T*>(a.alpha) : T(1);
  const T* G = static_cast<const T*>(a.sums);
  T total = 0;
  for (int64_t i = threadIdx.x; i < a.n; i += kGateThreads) {
    const T s = a.gate != nullptr ? sigmoid(static_cast<const T*>(a.gate)[i]) : T(1);
    total += s * G[i];
    if (a.gate != nullptr) static_cast<T*>(a.dgate)[i] = G[i] * alpha * s * (1 - s);
  }
  parts[threadIdx.x] = total;
  for (int half = kGateThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) parts[threadIdx.x] += parts[threadIdx.x + half];
  }
  if (threadIdx.x == 0 && a.alpha != nullptr) *static_cast<T*>(a.dalpha) = parts[0];
}

template <class T, class Z>
cudaError_t launch(const SphereArguments& a) {
  const bool done = with_row_shape<T>(a.n, in_fours(a.n, sizeof(T), a.x, a.rho, a.gate, a.y, a.narrow), [&](auto warps, auto width) {
    constexpr int kWarps = decltype(warps)::value;
    forward_kernel<T, Z, kWarps, decltype(width)::value><<<row_blocks(a.rows, a.n) * 2, RowShape<kWarps>::kThreads, 0, a.stream>>>(a);
  });
  return done ? cudaGetLastError() : cudaErrorInvalidValue;
}

template <class T, class Z, bool SUMS>
cudaError_t launch_kind(const SphereBackwardArguments& a) {
  const int blocks = row_blocks(a.rows, a.n), n = static_cast<int>(a.n);
  const bool fours = in_fours(a.n, sizeof(T), a.dy, a.dnarrow, a.y, a.rho, a.gate, a.dx, a.drho);
  const bool done = with_row_shape<T>(a.n, fours, [&](auto warps, auto width) {
    constexpr int kWarps = decltype(warps)::value;
    backward_kernel<T, Z, SUMS, kWarps, decltype(width)::value>
        <<<blocks, RowShape<kWarps>::kThreads, SUMS ? column_bytes<T, kWarps>(n) : 0, a.stream>>>(a);
  });
  if (!done) return cudaErrorInvalidValue;
  if (SUMS) {
    launch_sum_blocks<T>(a.partial, blocks, n, n, a.sums, a.stream);
    gate_kernel<T><<<1, kGateThreads, 0, a.stream>>>(a);
  }
  return cudaGetLastError();
}

template <class T, class Z>
cudaError_t launch(const SphereBackwardArguments& a) {
  return a.alpha != nullptr || a.gate != nullptr ? launch_kind<T, Z, true>(a) : launch_kind<T, Z, false>(a);
}

}  // namespace

int sphere_blocks(int64_t rows, int64_t n) { return row_blocks(rows, n); }

cudaError_t sphere_step(const SphereArguments& a, bool is_double, bool rho_narrow) {
  if (is_double) return launch<double, double>(a);
  return rho_narrow ? launch<float, __nv_bfloat16>(a) : launch<float, float>(a);
}

cudaError_t sphere_step_backward(const SphereBackwardArguments& a, bool is_double, bool rho_narrow) {
  if (is_double) return launch<double, double>(a);
  return rho_narrow ? launch<float, __nv_bfloat16>(a) : launch<float, float>(a);
}

}  // namespace assay::ops
