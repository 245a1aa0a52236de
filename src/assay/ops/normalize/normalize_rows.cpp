// Compiled once for each instruction set (cmake/Simd.cmake).
#include "assay/ops/normalize/normalize_rows.h"

#include <cmath>

#include "assay/ops/partial_sums.h"

namespace assay::ops::ASSAY_CAPABILITY {
namespace {

// What turns a row's x into z = (x - mean) r.
template <class T>
struct Row {
  T mean, r;
};
template <class T>
Row<T> row_of(const T* x, int64_t n, T eps, bool centered) {
  const T count = static_cast<T>(n), mean = centered ? sum_over<T>(n, [&](int64_t i) { return x[i]; }) / count : T(0);
  const T squares = sum_over<T>(n, [&](int64_t i) { return (x[i] - mean) * (x[i] - mean); });
  return {mean, T(1) / std::sqrt(squares / count + eps)};
}

template <class T>
void add(const T* x, const T* branch, int64_t n, T* __restrict sum) {
  for (int64_t i = 0; i < n; ++i) sum[i] = x[i] + branch[i];
}

template <class T>
void forward(const T* x, const T* scale, const T* bias, int64_t n, T eps, bool centered, T* __restrict z, T* __restrict scaled) {
  const auto [mean, r] = row_of(x, n, eps, centered);
  if (z != nullptr)
    for (int64_t i = 0; i < n; ++i) z[i] = (x[i] - mean) * r;
  if (scaled == nullptr) return;
  if (bias != nullptr)
    for (int64_t i = 0; i < n; ++i) scaled[i] = (x[i] - mean) * r * scale[i] + bias[i];
  else
    for (int64_t i = 0; i < n; ++i) scaled[i] = (x[i] - mean) * r * scale[i];
}

template <class T>
void backward(const T* dz, const T* dscaled, const T* dthrough, const T* x, const T* scale, int64_t n, T eps, bool centered,
              T* __restrict dx, T* __restrict dscale, T* __restrict dbias) {
  const auto [mean, r] = row_of(x, n, eps, centered);
  for (int64_t i = 0; i < n; ++i) dx[i] = dz != nullptr ? dz[i] : T(0);
  if (dscaled != nullptr) {
    for (int64_t i = 0; i < n; ++i) {
      dx[i] += dscaled[i] * scale[i];
      dscale[i] += dscaled[i] * (x[i] - mean) * r;
    }
    if (dbias != nullptr)
      for (int64_t i = 0; i < n; ++i) dbias[i] += dscaled[i];
  }
  const T inverse = T(1) / static_cast<T>(n), along = sum_over<T>(n, [&](int64_t i) { return dx[i] * (x[i] - mean); });
  const T c = r * r * r * inverse * along, level = centered ? inverse * sum_over<T>(n, [&](int64_t i) { return dx[i]; }) : T(0);
  if (dthrough != nullptr)
    for (int64_t i = 0; i < n; ++i) dx[i] = dthrough[i] + (r * (dx[i] - level) - c * (x[i] - mean));
  else
    for (int64_t i = 0; i < n; ++i) dx[i] = r * (dx[i] - level) - c * (x[i] - mean);
}

}  // namespace

const NormalizeRows normalize_rows{{&add<float>, &forward<float>, &backward<float>}, {&add<double>, &forward<double>, &backward<double>}};

}  // namespace assay::ops::ASSAY_CAPABILITY
