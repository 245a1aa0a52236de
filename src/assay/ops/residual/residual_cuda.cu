// A row a warp; a block walks rows, so that the sums over rows stay in registers.
#include "assay/ops/residual/residual_cuda.h"
#include "assay/ops/row_kernels.cuh"

namespace assay::ops {
namespace {

constexpr int kThreads = kWarp * kWarpsOfBlock;
enum : int64_t { kNone = 0, kGelu = 1, kRelu = 2, kRelu2 = 3, kSwish = 4 };

template <class T>
struct Activated {
  T value, slope;
};

template <class T>
__device__ Activated<T> activate(T a, int64_t activation) {
  switch (activation) {
    case kGelu: {
      const T phi = T(0.5) * (1 + erf(a * T(0.7071067811865475244)));
      return {a * phi, phi + a * exp(T(-0.5) * a * a) * T(0.39894228040143267794)};
    }
    case kRelu: return {a > 0 ? a : T(0), a > 0 ? T(1) : T(0)};
    case kRelu2: {
      const T p = a > 0 ? a : T(0);
      return {p * p, 2 * p};
    }
    case kSwish: {
      const T s = 1 / (1 + exp(-a));
      return {a * s, s * (1 + a * (1 - s))};
    }
    default: return {a, T(1)};
  }
}

template <class T, class Z, int PER, int W>
__global__ void __launch_bounds__(kThreads) forward_kernel(ResidualArguments a) {
  const Lane<PER, W> at{static_cast<int>(threadIdx.x) % kWarp, static_cast<int>(a.n)};
  const T c = *static_cast<const T*>(a.c);
  const int64_t stride = int64_t{gridDim.x} * kWarpsOfBlock;
  T x[PER], in[PER], other[PER];
  for (int64_t row = int64_t{blockIdx.x} * kWarpsOfBlock + threadIdx.x / kWarp; row < a.rows; row += stride) {
    at.load(static_cast<const T*>(a.x) + row * a.n, x);
    at.load(static_cast<const Z*>(a.m) + row * a.n, in);
    if (a.bias != nullptr) {
      at.load(static_cast<const T*>(a.bias), other);
#pragma unroll
      for (int j = 0; j < PER; ++j) in[j] += other[j];
    }
    if (a.diag != nullptr) {
      T diag[PER];
      at.load(static_cast<const Z*>(a.z) + row * a.n, other);
      at.load(static_cast<const T*>(a.diag), diag);
#pragma unroll
      for (int j = 0; j < PER; ++j) in[j] += other[j] * diag[j];
    }
    at.store(static_cast<T*>(a.out) + row * a.n, [&](int j) { return x[j] + c * activate(in[j], a.activation).value; });
  }
}

template <class T, class Z, int PER, int W>
__global__ void __launch_bounds__(kThreads) backward_kernel(ResidualBackwardArguments a) {
  extern __shared__ __align__(16) unsigned char raw[];
  __shared__ T along_of_warp[kWarpsOfBlock];
  T* shared = reinterpret_cast<T*>(raw);
  const Lane<PER, W> at{static_cast<int>(threadIdx.x) % kWarp, static_cast<int>(a.n)};
  const T c = *static_cast<const T*>(a.c);
  const int64_t stride = int64_t{gridDim.x} * kWarpsOfBlock;
  T g[PER], in[PER], z[PER], ddiag[PER] = {}, dbias[PER] = {}, along = 0;
  for (int64_t row = int64_t{blockIdx.x} * kWarpsOfBlock + threadIdx.x / kWarp; row < a.rows; row += stride) {
    at.load(static_cast<const T*>(a.g) + row * a.n, g);
    at.load(static_cast<const Z*>(a.m) + row * a.n, in);
    if (a.bias != nullptr) {
      T bias[PER];
      at.load(static_cast<const T*>(a.bias), bias);
#pragma unroll
      for (int j = 0; j < PER; ++j) in[j] += bias[j];
    }
    T diag[PER];
    if (a.diag != nullptr) {
      at.load(static_cast<const Z*>(a.z) + row * a.n, z);
      at.load(static_cast<const T*>(a.diag), diag);
#pragma unroll
      for (int j = 0; j < PER; ++j) in[j] += z[j] * diag[j];
    }
#pragma unroll
    for (int j = 0; j < PER; ++j) {
      const Activated<T> act = activate(in[j], a.activation);
      along += g[j] * act.value;  // 0 beyond the row's end: g is
      g[j] = g[j] * c * act.slope;
      if (a.bias != nullptr) dbias[j] += g[j];
      if (a.diag != nullptr) ddiag[j] += g[j] * z[j];
    }
    at.store(static_cast<Z*>(a.dm) + row * a.n, [&](int j) { return g[j]; });
    if (a.diag != nullptr) at.store(static_cast<Z*>(a.dz) + row * a.n, [&](int j) { return g[j] * diag[j]; });
  }
  const int n = at.n;
  T* partial = static_cast<T*>(a.partial) + int64_t{blockIdx.x} * (2 * n + 1);
  if (a.diag != nullptr) add_columns(at, ddiag, shared, partial);
  if (a.bias != nullptr) add_columns(at, dbias, shared, partial + n);
  along = warp_sum(along);
  if (at.lane == 0) along_of_warp[threadIdx.x / kWarp] = along;
  __syncthreads();
  if (threadIdx.x == 0) {
    T total = 0;
    for (T part : along_of_warp) total += part;
    partial[2 * n] = total;
  }
}

template <class T, class Z>
cudaError_t launch(const ResidualArguments& a) {
  const bool done = with_lane_shape(a.n, [&](auto per, auto width) {
    forward_kernel<T, Z, decltype(per)::value, decltype(width)::value><<<row_blocks(a.rows) * 4, kThreads, 0, a.stream>>>(a);
  });
  return done ? cudaGetLastError() : cudaErrorInvalidValue;
}

template <class T, class Z>
cudaError_t launch(const ResidualBackwardArguments& a) {
  const int blocks = row_blocks(a.rows), n = static_cast<int>(a.n);
  const bool done = with_lane_shape(a.n, [&](auto per, auto width) {
    backward_kernel<T, Z, decltype(per)::value, decltype(width)::value>
        <<<blocks, kThreads, static_cast<size_t>(n) * sizeof(T), a.stream>>>(a);
  });
  if (!done) return cudaErrorInvalidValue;
  launch_sum_blocks<T>(a.partial, blocks, 2 * n + 1, a.sums, a.stream);
  return cudaGetLastError();
}

}  // namespace

int residual_blocks(int64_t rows) { return row_blocks(rows); }

cudaError_t residual(const ResidualArguments& a, bool is_double, bool narrow) {
  if (is_double) return launch<double, double>(a);
  return narrow ? launch<float, __nv_bfloat16>(a) : launch<float, float>(a);
}

cudaError_t residual_backward(const ResidualBackwardArguments& a, bool is_double, bool narrow) {
  if (is_double) return launch<double, double>(a);
  return narrow ? launch<float, __nv_bfloat16>(a) : launch<float, float>(a);
}

}  // namespace assay::ops
