// A row a warp, kept in registers between the reduction and its use; a block walks rows, so that sums over rows stay in registers too.
#include "assay/ops/normalize/normalize_cuda.h"
#include "assay/ops/row_kernels.cuh"

namespace assay::ops {
namespace {

constexpr int kThreads = kWarp * kWarpsOfBlock;

template <class T, int PER>
__device__ T inverse_rms(const T (&x)[PER], int n, T eps) {
  T squares = 0;
#pragma unroll
  for (int j = 0; j < PER; ++j) squares += x[j] * x[j];
  return 1 / sqrt(warp_sum(squares) / static_cast<T>(n) + eps);
}

template <class T, class Z, int PER, int W>
__global__ void __launch_bounds__(kThreads) forward_kernel(NormalizeArguments a) {
  const Lane<PER, W> at{static_cast<int>(threadIdx.x) % kWarp, static_cast<int>(a.n)};
  T x[PER], scale[PER];
  if (a.scale != nullptr) at.load(static_cast<const T*>(a.scale), scale);
  const int64_t stride = int64_t{gridDim.x} * kWarpsOfBlock;
  for (int64_t row = int64_t{blockIdx.x} * kWarpsOfBlock + threadIdx.x / kWarp; row < a.rows; row += stride) {
    at.load(static_cast<const T*>(a.x) + row * a.n, x);
    const T r = inverse_rms(x, at.n, static_cast<T>(a.eps));
    at.store(static_cast<Z*>(a.z) + row * a.n, [&](int j) { return x[j] * r; });
    if (a.scale != nullptr) at.store(static_cast<Z*>(a.scaled) + row * a.n, [&](int j) { return x[j] * r * scale[j]; });
  }
}

template <class T, class Z, int PER, int W>
__global__ void __launch_bounds__(kThreads) backward_kernel(NormalizeBackwardArguments a) {
  extern __shared__ __align__(16) unsigned char raw[];
  const Lane<PER, W> at{static_cast<int>(threadIdx.x) % kWarp, static_cast<int>(a.n)};
  T x[PER], u[PER], other[PER], sums[PER] = {};
  const int64_t stride = int64_t{gridDim.x} * kWarpsOfBlock;
  for (int64_t row = int64_t{blockIdx.x} * kWarpsOfBlock + threadIdx.x / kWarp; row < a.rows; row += stride) {
    at.load(static_cast<const T*>(a.x) + row * a.n, x);
    const T r = inverse_rms(x, at.n, static_cast<T>(a.eps));
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
        sums[j] += other[j] * x[j] * r;
      }
    }
    T along = 0;
#pragma unroll
    for (int j = 0; j < PER; ++j) along += u[j] * x[j];
    const T c = r * r * r / static_cast<T>(at.n) * warp_sum(along);
    if (a.dthrough != nullptr) {
      at.load(static_cast<const T*>(a.dthrough) + row * a.n, other);
    } else {
#pragma unroll
      for (int j = 0; j < PER; ++j) other[j] = 0;
    }
    at.store(static_cast<T*>(a.dx) + row * a.n, [&](int j) { return other[j] + (r * u[j] - c * x[j]); });
  }
  if (a.dscaled != nullptr) add_columns(at, sums, reinterpret_cast<T*>(raw), static_cast<T*>(a.partial) + int64_t{blockIdx.x} * at.n);
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
  if (a.dscaled != nullptr) launch_sum_blocks<T>(a.partial, blocks, n, a.dscale, a.stream);
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
