// A row a few warps; a block walks rows, so that the sums over rows stay in registers. Nothing is summed along a row: threads of one row never wait for
// each other.
#include "assay/ops/residual/residual_cuda.h"
#include "assay/ops/row_kernels.cuh"

namespace assay::ops {
namespace {

enum : int64_t { kNone = 0, kGelu = 1, kRelu = 2, kRelu2 = 3, kSwish = 4 };

template <class T>
struct Activated {
  T value, slope;
};

template <int64_t ACTIVATION, class T>
__device__ Activated<T> activate(T a) {
  if constexpr (ACTIVATION == kGelu) {
    const T phi = T(0.5) * (1 + erf(a * T(0.7071067811865475244)));
    return {a * phi, phi + a * exp(T(-0.5) * a * a) * T(0.39894228040143267794)};
  } else if constexpr (ACTIVATION == kRelu) {
    return {a > 0 ? a : T(0), a > 0 ? T(1) : T(0)};
  } else if constexpr (ACTIVATION == kRelu2) {
    const T p = a > 0 ? a : T(0);
    return {p * p, 2 * p};
  } else if constexpr (ACTIVATION == kSwish) {
    const T s = 1 / (1 + exp(-a));
    return {a * s, s * (1 + a * (1 - s))};
  } else {
    return {a, T(1)};
  }
}

// One choice for a row's numbers together, not one for each.
template <class F>
__device__ void with_activation(int64_t activation, const F& f) {
  switch (activation) {
    case kGelu: return f(std::integral_constant<int64_t, kGelu>());
    case kRelu: return f(std::integral_constant<int64_t, kRelu>());
    case kRelu2: return f(std::integral_constant<int64_t, kRelu2>());
    case kSwish: return f(std::integral_constant<int64_t, kSwish>());
    default: return f(std::integral_constant<int64_t, kNone>());
  }
}

// m + bias + z diag.
template <class T, class Z, int WARPS, int W, class A>
__device__ void load_branch(const Lane<WARPS, W>& at, const A& a, int64_t row, const T (&bias)[kLanePart], const T (&diag)[kLanePart],
                            T (&z)[kLanePart], T (&in)[kLanePart]) {
  at.load(static_cast<const Z*>(a.m) + row * a.n, in);
  at.template load_if<Z>(a.z, row, z);
#pragma unroll
  for (int j = 0; j < kLanePart; ++j) in[j] += bias[j] + z[j] * diag[j];
}

// c of the lane's columns.
template <class T, int WARPS, int W, class A>
__device__ void load_factor(const Lane<WARPS, W>& at, const A& a, T (&c)[kLanePart]) {
  if (a.factors > 1) return at.load(static_cast<const T*>(a.c), c);
#pragma unroll
  for (int j = 0; j < kLanePart; ++j) c[j] = *static_cast<const T*>(a.c);
}

template <class T, class Z, int WARPS, int W>
__global__ void __launch_bounds__(RowShape<WARPS>::kThreads, resident_blocks<T, WARPS>()) forward_kernel(ResidualArguments a) {
  const Lane<WARPS, W> at(a.n);
  T c[kLanePart], bias[kLanePart], diag[kLanePart];
  load_factor(at, a, c);
  at.template load_if<T>(a.bias, 0, bias);
  at.template load_if<T>(a.diag, 0, diag);
  for (int64_t row = at.first_row(); row < a.rows; row += at.row_step()) {
    T x[kLanePart], in[kLanePart], z[kLanePart];
    at.load(static_cast<const T*>(a.x) + row * a.n, x);
    load_branch<T, Z>(at, a, row, bias, diag, z, in);
    with_activation(a.activation, [&](auto activation) {
      at.store(static_cast<T*>(a.out) + row * a.n, [&](int j) { return x[j] + c[j] * activate<decltype(activation)::value>(in[j]).value; });
    });
  }
}

template <class T, class Z, int WARPS, int W>
__global__ void __launch_bounds__(RowShape<WARPS>::kThreads, resident_blocks<T, WARPS>()) backward_kernel(ResidualBackwardArguments a) {
  extern __shared__ __align__(16) unsigned char raw[];
  constexpr int kWarps = RowShape<WARPS>::kThreads / kWarp;
  __shared__ T along_of_warp[kWarps];
  T* shared = reinterpret_cast<T*>(raw);
  const Lane<WARPS, W> at(a.n);
  T c[kLanePart], bias[kLanePart], diag[kLanePart], ddiag[1][kLanePart] = {}, dbias[1][kLanePart] = {}, dc[1][kLanePart] = {};
  load_factor(at, a, c);
  at.template load_if<T>(a.bias, 0, bias);
  at.template load_if<T>(a.diag, 0, diag);
  for (int64_t row = at.first_row(); row < a.rows; row += at.row_step()) {
    T g[kLanePart], in[kLanePart], z[kLanePart];
    at.load(static_cast<const T*>(a.g) + row * a.n, g);
    load_branch<T, Z>(at, a, row, bias, diag, z, in);
    with_activation(a.activation, [&](auto activation) {
#pragma unroll
      for (int j = 0; j < kLanePart; ++j) {
        const Activated<T> act = activate<decltype(activation)::value>(in[j]);
        dc[0][j] += g[j] * act.value;  // 0 beyond the row's end: g is
        g[j] *= c[j] * act.slope;
      }
    });
#pragma unroll
    for (int j = 0; j < kLanePart; ++j) {
      dbias[0][j] += g[j];
      ddiag[0][j] += g[j] * z[j];
    }
    at.store(static_cast<Z*>(a.dm) + row * a.n, [&](int j) { return g[j]; });
    if (a.diag != nullptr) at.store(static_cast<Z*>(a.dz) + row * a.n, [&](int j) { return g[j] * diag[j]; });
  }
  const int n = at.n;
  T* partial = static_cast<T*>(a.partial) + int64_t{blockIdx.x} * (2 * n + a.factors);
  if (a.diag != nullptr) add_columns(at, ddiag, shared, partial);
  if (a.bias != nullptr) add_columns(at, dbias, shared, partial + n);
  if (a.factors > 1) return add_columns(at, dc, shared, partial + 2 * n);
  const T along = warp_sum(dc[0][0] + dc[0][1] + dc[0][2] + dc[0][3]);
  if (threadIdx.x % kWarp == 0) along_of_warp[threadIdx.x / kWarp] = along;
  __syncthreads();
  if (threadIdx.x == 0) {
    T total = 0;
    for (T part : along_of_warp) total += part;
    partial[2 * n] = total;
  }
}

template <class T, class Z>
cudaError_t launch(const ResidualArguments& a) {
  const bool done = with_row_shape<T>(
      a.n, in_fours(a.n, sizeof(T), a.x, a.m, a.z, a.diag, a.bias, a.factors > 1 ? a.c : nullptr, a.out), [&](auto warps, auto width) {
        constexpr int kWarps = decltype(warps)::value;
        forward_kernel<T, Z, kWarps, decltype(width)::value><<<row_blocks(a.rows, a.n) * 2, RowShape<kWarps>::kThreads, 0, a.stream>>>(a);
      });
  return done ? cudaGetLastError() : cudaErrorInvalidValue;
}

template <class T, class Z>
cudaError_t launch(const ResidualBackwardArguments& a) {
  const int blocks = row_blocks(a.rows, a.n), n = static_cast<int>(a.n), columns = static_cast<int>(2 * a.n + a.factors);
  const bool fours = in_fours(a.n, sizeof(T), a.g, a.m, a.z, a.diag, a.bias, a.factors > 1 ? a.c : nullptr, a.dm, a.dz);
  const bool done = with_row_shape<T>(a.n, fours, [&](auto warps, auto width) {
    constexpr int kWarps = decltype(warps)::value;
    backward_kernel<T, Z, kWarps, decltype(width)::value><<<blocks, RowShape<kWarps>::kThreads, column_bytes<T, kWarps>(n), a.stream>>>(a);
  });
  if (!done) return cudaErrorInvalidValue;
  launch_sum_blocks<T>(a.partial, blocks, columns, columns, a.sums, a.stream);
  return cudaGetLastError();
}

}  // namespace

int residual_blocks(int64_t rows, int64_t n) { return row_blocks(rows, n); }

cudaError_t residual(const ResidualArguments& a, bool is_double, bool narrow) {
  if (is_double) return launch<double, double>(a);
  return narrow ? launch<float, __nv_bfloat16>(a) : launch<float, float>(a);
}

cudaError_t residual_backward(const ResidualBackwardArguments& a, bool is_double, bool narrow) {
  if (is_double) return launch<double, double>(a);
  return narrow ? launch<float, __nv_bfloat16>(a) : launch<float, float>(a);
}

}  // namespace assay::ops
