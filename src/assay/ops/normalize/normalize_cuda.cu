// A row a few warps, kept in registers between the reduction and its use; a block walks rows, so that sums over rows stay in registers too.
#include "assay/ops/normalize/normalize_cuda.h"
#include "assay/ops/row_kernels.cuh"

namespace assay::ops {
namespace {

template <class T>
__device__ T sum_of(const T (&x)[kLanePart]) {
  T total = 0;
#pragma unroll
  for (int j = 0; j < kLanePart; ++j) total += x[j];
  return total;
}
template <class T>
__device__ T product_of(const T (&x)[kLanePart], const T (&y)[kLanePart]) {
  T total = 0;
#pragma unroll
  for (int j = 0; j < kLanePart; ++j) total += x[j] * y[j];
  return total;
}
template <class T, int WARPS, int W>
__device__ void take_mean(const Lane<WARPS, W>& at, T (&x)[kLanePart], T mean) {
#pragma unroll
  for (int j = 0; j < kLanePart; ++j) x[j] = at.inside(j) ? x[j] - mean : T(0);
}

template <class T, class Z, int WARPS, int W>
__global__ void __launch_bounds__(RowShape<WARPS>::kThreads, resident_blocks<T, WARPS>()) forward_kernel(NormalizeArguments a) {
  __shared__ T slots[RowSums<T, WARPS, 1>::kSlots];
  RowSums<T, WARPS, 1> sums(slots);
  const Lane<WARPS, W> at(a.n);
  T x[kLanePart], scale[kLanePart], bias[kLanePart];
  at.template load_if<T>(a.scale, 0, scale);
  at.template load_if<T>(a.bias, 0, bias);
  const T inverse = T(1) / static_cast<T>(at.n);
  for (int64_t row = at.first_row(); row < a.rows; row += at.row_step()) {
    T joining[kLanePart];
    at.load(static_cast<const T*>(a.x) + row * a.n, x);
    at.template load_if<Z>(a.branch, row, joining);
    if (a.branch != nullptr) {
#pragma unroll
      for (int j = 0; j < kLanePart; ++j) x[j] += joining[j];
      at.store(static_cast<T*>(a.sum) + row * a.n, [&](int j) { return x[j]; });
    }
    if (a.centered) {
      T mean[1] = {sum_of(x)};
      sums.all(at, mean);
      take_mean(at, x, mean[0] * inverse);
    }
    T squares[1] = {product_of(x, x)};
    sums.all(at, squares);
    const T r = 1 / sqrt(squares[0] * inverse + static_cast<T>(a.eps));
    if (a.z != nullptr) at.store(static_cast<Z*>(a.z) + row * a.n, [&](int j) { return x[j] * r; });
    if (a.scale != nullptr) at.store(static_cast<Z*>(a.scaled) + row * a.n, [&](int j) { return x[j] * r * scale[j] + bias[j]; });
  }
}

// What the gradient of `scaled` takes part in: nothing, dscale, or dscale and dbias.
enum class Sums : int { none = 0, scale = 1, scale_and_bias = 2 };

template <class T, class Z, Sums KIND, int WARPS, int W>
__global__ void __launch_bounds__(RowShape<WARPS>::kThreads, resident_blocks<T, WARPS>()) backward_kernel(NormalizeBackwardArguments a) {
  extern __shared__ __align__(16) unsigned char raw[];
  __shared__ T slots[RowSums<T, WARPS, 2>::kSlots];
  RowSums<T, WARPS, 2> sums(slots);
  const Lane<WARPS, W> at(a.n);
  constexpr int kSums = static_cast<int>(KIND);
  T columns[kSums < 1 ? 1 : kSums][kLanePart] = {};  // of dscale and dbias
  const T inverse = T(1) / static_cast<T>(at.n);
  for (int64_t walked = at.first_row(); walked < at.even_end(a.rows); walked += at.row_step()) {
    const bool there = at.has_row(walked, a.rows);
    const int64_t row = there ? walked : 0;
    T x[kLanePart], u[kLanePart], h[kLanePart], through[kLanePart];
    at.load(static_cast<const T*>(a.x) + row * a.n, x);
    at.template load_if<Z>(a.dz, row, u);
    if (KIND != Sums::none) at.load(static_cast<const Z*>(a.dscaled) + row * a.n, h);
    at.template load_if<T>(a.dthrough, row, through);
    if (KIND != Sums::none) {
      T scale[kLanePart];
      at.load(static_cast<const T*>(a.scale), scale);
#pragma unroll
      for (int j = 0; j < kLanePart; ++j) u[j] += h[j] * scale[j];
    }
    T level = 0;
    if (a.centered) {
      T means[2] = {sum_of(x), sum_of(u)};
      sums.all(at, means);
      take_mean(at, x, means[0] * inverse);
      level = means[1] * inverse;
    }
    T both[2] = {product_of(x, x), product_of(u, x)};
    sums.all(at, both);
    const T r = 1 / sqrt(both[0] * inverse + static_cast<T>(a.eps)), c = r * r * r * inverse * both[1];
#pragma unroll
    for (int j = 0; j < kLanePart; ++j) through[j] += r * (u[j] - level) - c * x[j];
    if (!there) continue;
    at.store(static_cast<T*>(a.dx) + row * a.n, [&](int j) { return through[j]; });
    if (a.dbranch != nullptr) {
      if constexpr (sizeof(T) < sizeof(double))
        at.store(static_cast<__nv_bfloat16*>(a.dbranch) + row * a.n, [&](int j) { return through[j]; });
    }
    if (KIND != Sums::none) {
#pragma unroll
      for (int j = 0; j < kLanePart; ++j) {
        columns[0][j] += h[j] * (x[j] * r);
        if (kSums > 1) columns[kSums - 1][j] += h[j];
      }
    }
  }
  if (KIND == Sums::none) return;
  add_columns(at, columns, reinterpret_cast<T*>(raw), static_cast<T*>(a.partial) + int64_t{blockIdx.x} * 2 * at.n);
}

template <class T, class Z>
cudaError_t launch(const NormalizeArguments& a) {
  const bool done =
      with_row_shape<T>(a.n, in_fours(a.n, sizeof(T), a.x, a.branch, a.scale, a.bias, a.z, a.scaled, a.sum), [&](auto warps, auto width) {
        constexpr int kWarps = decltype(warps)::value;
        forward_kernel<T, Z, kWarps, decltype(width)::value><<<row_blocks(a.rows, a.n) * 2, RowShape<kWarps>::kThreads, 0, a.stream>>>(a);
      });
  return done ? cudaGetLastError() : cudaErrorInvalidValue;
}

template <class T, class Z, Sums KIND>
cudaError_t launch_kind(const NormalizeBackwardArguments& a) {
  const int blocks = row_blocks(a.rows, a.n), n = static_cast<int>(a.n);
  const bool fours = in_fours(a.n, sizeof(T), a.dz, a.dscaled, a.dthrough, a.x, a.scale, a.dx, a.dbranch);
  const bool done = with_row_shape<T>(a.n, fours, [&](auto warps, auto width) {
    constexpr int kWarps = decltype(warps)::value;
    constexpr int kSums = static_cast<int>(KIND);
    backward_kernel<T, Z, KIND, kWarps, decltype(width)::value>
        <<<blocks, RowShape<kWarps>::kThreads, column_bytes<T, kWarps>(n, kSums), a.stream>>>(a);
  });
  if (!done) return cudaErrorInvalidValue;
  if (KIND == Sums::none) return cudaGetLastError();
  // The second half of a row of partial sums is not written, and not read, without a bias.
  launch_sum_blocks<T>(a.partial, blocks, 2 * n, KIND == Sums::scale ? n : 2 * n, a.dsums, a.stream);
  return cudaGetLastError();
}

template <class T, class Z>
cudaError_t launch(const NormalizeBackwardArguments& a) {
  if (a.dscaled == nullptr) return launch_kind<T, Z, Sums::none>(a);
  return a.with_bias ? launch_kind<T, Z, Sums::scale_and_bias>(a) : launch_kind<T, Z, Sums::scale>(a);
}

}  // namespace

int normalize_blocks(int64_t rows, int64_t n) { return row_blocks(rows, n); }

cudaError_t normalize(const NormalizeArguments& a, bool is_double, bool narrow) {
  if (is_double) return launch<double, double>(a);
  return narrow ? launch<float, __nv_bfloat16>(a) : launch<float, float>(a);
}

cudaError_t normalize_backward(const NormalizeBackwardArguments& a, bool is_double, bool narrow) {
  if (is_double) return launch<double, double>(a);
  return narrow ? launch<float, __nv_bfloat16>(a) : launch<float, float>(a);
}

}  // namespace assay::ops
