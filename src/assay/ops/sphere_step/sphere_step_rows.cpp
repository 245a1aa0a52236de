// Compiled once for each instruction set (cmake/Simd.cmake).
#include "assay/ops/sphere_step/sphere_step_rows.h"

#include <cmath>

namespace assay::ops::ASSAY_CAPABILITY {
namespace {

// Partial sums let the compiler use vectors, in an order that depends on n alone.
template <class T>
T product_of(const T* a, const T* b, int64_t n) {
  T sum[16] = {};
  int64_t i = 0;
  for (; i + 16 <= n; i += 16)
    for (int j = 0; j < 16; ++j) sum[j] += a[i + j] * b[i + j];
  for (; i < n; ++i) sum[0] += a[i] * b[i];
  T total = 0;
  for (T s : sum) total += s;
  return total;
}

template <class T>
T forward(const T* x, const T* rho, const T* step, int64_t n, T eps, T* __restrict y) {
  if (rho != nullptr)
    for (int64_t i = 0; i < n; ++i) y[i] = x[i] + step[i] * rho[i];
  else
    for (int64_t i = 0; i < n; ++i) y[i] = x[i];
  const T r = T(1) / std::sqrt(product_of(y, y, n) + eps);
  for (int64_t i = 0; i < n; ++i) y[i] *= r;
  return r;
}

template <class T>
void backward(const T* dy, const T* y, T r, const T* rho, const T* step, int64_t n, T* __restrict dx, T* __restrict drho,
              T* __restrict sums) {
  const T along = product_of(dy, y, n);
  for (int64_t i = 0; i < n; ++i) dx[i] = r * (dy[i] - along * y[i]);
  if (rho == nullptr) return;
  for (int64_t i = 0; i < n; ++i) {
    drho[i] = step[i] * dx[i];
    sums[i] += dx[i] * rho[i];
  }
}

}  // namespace

const SphereRows sphere_rows{{&forward<float>, &backward<float>}, {&forward<double>, &backward<double>}};

}  // namespace assay::ops::ASSAY_CAPABILITY
