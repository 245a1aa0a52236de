// Compiled once for each instruction set (cmake/Simd.cmake).
#include "assay/ops/normalize/normalize_rows.h"

#include <cmath>

namespace assay::ops::ASSAY_CAPABILITY {
namespace {

// Partial sums let the compiler use vectors, in an order that depends on n alone.
template <class T, class F>
T sum_over(int64_t n, const F& term) {
  T sum[16] = {};
  int64_t i = 0;
  for (; i + 16 <= n; i += 16)
    for (int j = 0; j < 16; ++j) sum[j] += term(i + j);
  for (; i < n; ++i) sum[0] += term(i);
  T total = 0;
  for (T s : sum) total += s;
  return total;
}

template <class T>
T inverse_rms(const T* x, int64_t n, T eps) {
  return T(1) / std::sqrt(sum_over<T>(n, [&](int64_t i) { return x[i] * x[i]; }) / static_cast<T>(n) + eps);
}

template <class T>
void forward(const T* x, const T* scale, int64_t n, T eps, T* __restrict z, T* __restrict scaled) {
  const T r = inverse_rms(x, n, eps);
  for (int64_t i = 0; i < n; ++i) z[i] = x[i] * r;
  if (scaled != nullptr)
    for (int64_t i = 0; i < n; ++i) scaled[i] = z[i] * scale[i];
}

template <class T>
void backward(const T* dz, const T* dscaled, const T* dthrough, const T* x, const T* scale, int64_t n, T eps, T* __restrict dx,
              T* __restrict dscale) {
  const T r = inverse_rms(x, n, eps);
  for (int64_t i = 0; i < n; ++i) dx[i] = dz != nullptr ? dz[i] : T(0);
  if (dscaled != nullptr)
    for (int64_t i = 0; i < n; ++i) {
      dx[i] += dscaled[i] * scale[i];
      dscale[i] += dscaled[i] * x[i] * r;
    }
  const T along = sum_over<T>(n, [&](int64_t i) { return dx[i] * x[i]; }), c = r * r * r / static_cast<T>(n) * along;
  if (dthrough != nullptr)
    for (int64_t i = 0; i < n; ++i) dx[i] = dthrough[i] + (r * dx[i] - c * x[i]);
  else
    for (int64_t i = 0; i < n; ++i) dx[i] = r * dx[i] - c * x[i];
}

}  // namespace

const NormalizeRows normalize_rows{{&forward<float>, &backward<float>}, {&forward<double>, &backward<double>}};

}  // namespace assay::ops::ASSAY_CAPABILITY
