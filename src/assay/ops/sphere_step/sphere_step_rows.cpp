// Compiled once for each instruction set (cmake/Simd.cmake).
#include "assay/ops/sphere_step/sphere_step_rows.h"

#include <cmath>

#include "assay/ops/partial_sums.h"

namespace assay::ops::ASSAY_CAPABILITY {
namespace {

template <class T>
T forward(const T* x, const T* rho, const T* step, int64_t n, T eps, T* __restrict y) {
  if (rho != nullptr)
    for (int64_t i = 0; i < n; ++i) y[i] = x[i] + step[i] * rho[i];
  else
    for (int64_t i = 0; i < n; ++i) y[i] = x[i];
  const T r = T(1) / std::sqrt(sum_over<T>(n, [&](int64_t i) { return y[i] * y[i]; }) + eps);
  for (int64_t i = 0; i < n; ++i) y[i] *= r;
  return r;
}

template <class T>
void backward(const T* dy, const T* y, T r, const T* rho, const T* step, int64_t n, T* __restrict dx, T* __restrict drho,
              T* __restrict sums) {
  const T along = sum_over<T>(n, [&](int64_t i) { return dy[i] * y[i]; });
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
