// A row a warp, kept in registers between the reduction and its use; a block walks rows, so that sums over rows stay in registers too.
#include "assay/ops/normalize/normalize_cuda.h"
#include "assay/ops/row_kernels.cuh"

namespace assay::ops {
namespace {

constexpr int kThreads = kWarp * kWarpsOfBlock;

template <class T, int PER>
__device__ T sum_of(const T (&x)[PER]) {
  T total = 0;
#pragma unroll
  for (int j = 0; j < PER; ++j) total += x[j];
  return warp_sum(total);
}

// Takes the mean off x where it is to be centered, and returns (mean(x^2) + eps)^(-1/2).
template <class T, int PER, int W>
__device__ T center(const Lane<PER, W>& at, T (&x)[PER], T eps, bool centered) {
  const T inverse = T(1) / static_cast<T>(at.n);
  if (centered) {
    const T mean = sum_of(x) * inverse;
#pragma unroll
    for (int j = 0; j < PER; ++j) x[j] = at.inside(j) ? x[j] - mean : T(0);
  }
  T squares = 0;
#pragma unroll
  for (int j = 0; j < PER; ++j) squares += x[j] * x[j];
  return 1 / sqrt(warp_sum(squares) * inverse + eps);
}

template <class T, class Z, int PER, int W>
__global__ void __launch_bounds__(kThreads) forward_kernel(NormalizeArguments a) {
  const Lane<PER, W> at{static_cast<int>(threadIdx.x) % kWarp, static_cast<int>(a.n)};
  T x[PER], scale[PER];
  if (a.scale != nullptr) at.load(static_cast<const T*>(a.scale), scale);
  const int64_t stride = int64_t{gridDim.x} * kWarpsOfBlock;
  for (int64_t row = int64_t{blockIdx.x} * kWarpsOfBlock + threadIdx.x / kWarp; row < a.rows; row += stride) {
    at.load(static_cast<const T*>(a.x) + row * a.n, x);
    const T r = center(at, x, static_cast<T>(a.eps), a.centered);
    if (a.z != nullptr) at.store(static_cast<Z*>(a.z) + row * a.n, [&](int j) { return x[j] * r; });
    if (a.bias != nullptr) {
      T bias[PER];
      at.load(static_cast<const T*>(a.bias), bias);
      at.store(static_cast<Z*>(a.scaled) + row * a.n, [&](int j) { return x[j] * r * scale[j] + bias[j]; });
    } else if (a.scale != nullptr) {
      at.store(static_cast<Z*>(a.scaled) + row * a.n, [&](int j) { return x[j] * r * scale[j]; });
    }
  }
}

template <class T, class Z, int PER, int W>
__global__ void __launch_bounds__(kThreads) backward_kernel(NormalizeBackwardArguments a) {
  extern __shared__ __align__(16) unsigned char raw[];
  const Lane<PER, W> at{static_cast<int>(threadIdx.x) % kWarp, static_cast<int>(a.n)};
  T x[PER], u[PER], other[PER], dscale[PER] = {}, dbias[PER] = {};
  const T inverse = T(1) / static_cast<T>(at.n);
  const int64_t stride = int64_t{gridDim.x} * kWarpsOfBlock;
  for (int64_t row = int64_t{blockIdx.x} * kWarpsOfBlock + threadIdx.x / kWarp; row < a.rows; row += stride) {
    at.load(static_cast<const T*>(a.x) + row * a.n, x);
    const T r = center(at, x, static_cast<T>(a.eps), a.centered);
    if (a.dz != nullptr) {
      at.load(static_cast<const Z*>(a.dz) + row * a.n, u);
    } else {
#pragma unroll
      for (int j = 0; j < PER; ++j) u[j] = 0;
    }
    if (a.dscaled != nullptr) {
      at.load(static_cast<const Z*>(a.dscaled) + row * a.n, other);
      T scale[PER];
      at.load(static_cast<const T*>(a.scale), scale);
#pragma unroll
      for (int j = 0; j < PER; ++j) {
        u[j] += other[j] * scale[j];
        dscale[j] += other[j] * x[j] * r;
        if (a.with_bias) dbias[j] += other[j];
      }
    }
    T along = 0;
#pragma unroll
    for (int j = 0; j < PER; ++j) along += u[j] * x[j];
    const T c = r * r * r * inverse * warp_sum(along), level = a.centered ? r * inverse * sum_of(u) : T(0);
    if (a.dthrough != nullptr) {
      at.load(static_cast<const T*>(a.dthrough) + row * a.n, other);
    } else {
#pragma unroll
      for (int j = 0; j < PER; ++j) other[j] = 0;
    }
    at.store(static_cast<T*>(a.dx) + row * a.n, [&](int j) { return other[j] + (r * u[j] - level - c * x[j]); });
  }
  if (a.dscaled == nullptr) return;
  T *shared = reinterpret_cast<T*>(raw), *partial = static_cast<T*>(a.partial) + int64_t{blockIdx.x} * 2 * at.n;
  add_columns(at, dscale, shared, partial);
  if (a.with_bias) add_columns(at, dbias, shared, partial + at.n);
}

template <class T, class Z>
cudaError_t launch(const NormalizeArguments& a) {
  const bool done = with_lane_shape(a.n, [&](auto per, auto width) {
    forward_kernel<T, Z, decltype(per)::value, decltype(width)::value><<<row_blocks(a.rows) * 4, kThreads, 0, a.stream>>>(a);
  });
  return done ? cudaGetLastError() : cudaErrorInvalidValue;
}

template <class T, class Z>
cudaError_t launch(const NormalizeBackwardArguments& a) {
  const int blocks = row_blocks(a.rows), n = static_cast<int>(a.n);
  const bool done = with_lane_shape(a.n, [&](auto per, auto width) {
    backward_kernel<T, Z, decltype(per)::value, decltype(width)::value>
        <<<blocks, kThreads, static_cast<size_t>(n) * sizeof(T), a.stream>>>(a);
  });
  if (!done) return cudaErrorInvalidValue;
  if (a.dscaled != nullptr) launch_sum_blocks<T>(a.partial, blocks, 2 * n, a.dsums, a.stream);
  return cudaGetLastError();
}

}  // namespace

int normalize_blocks(int64_t rows) { return row_blocks(rows); }

cudaError_t normalize(const NormalizeArguments& a, bool is_double, bool narrow) {
  if (is_double) return launch<double, double>(a);
  return narrow ? launch<float, __nv_bfloat16>(a) : launch<float, float>(a);
}

cudaError_t normalize_backward(const NormalizeBackwardArguments& a, bool is_double, bool narrow) {
  if (is_double) return launch<double, double>(a);
  return narrow ? launch<float, __nv_bfloat16>(a) : launch<float, float>(a);
}

}  // namespace assay::ops
