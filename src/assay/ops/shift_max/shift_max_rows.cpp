// Compiled once for each instruction set (cmake/Simd.cmake).
#include "assay/ops/shift_max/shift_max_rows.h"

#include <cmath>

#include "assay/ops/partial_sums.h"

namespace assay::ops::ASSAY_CAPABILITY {
namespace {

template <class T>
T mean_of(const T* x, int64_t n) {
  return sum_over<T>(n, [&](int64_t i) { return x[i]; }) / static_cast<T>(n);
}

// w = phi(u) by row, and where it is given slope = phi'(u) = phi(u) / (1 + |u|/k).
template <class T>
void weights(const T* z, int64_t n, int64_t k, T tau, T* __restrict w, T* __restrict slope) {
  const T mean = mean_of(z, n), of_k = T(1) / static_cast<T>(k);
  for (int64_t i = 0; i < n; ++i) {
    const T u = (z[i] - mean) / tau, r = std::abs(u) * of_k + T(1), h = T(1) / r;
    w[i] = u >= T(0) ? r : h;
    if (slope != nullptr) slope[i] = k > 1 ? h : u >= T(0) ? T(1) : h * h;
  }
  if (k == 1) return;
  for (int64_t i = 0; i < n; ++i) {
    const T base = w[i];
    T power = base;
    for (int64_t j = 1; j < k; ++j) power *= base;
    w[i] = power;
  }
  if (slope == nullptr) return;
  for (int64_t i = 0; i < n; ++i) slope[i] *= w[i];
}

template <class T>
void forward(const T* z, int64_t n, int64_t k, T tau, T* p) {
  weights<T>(z, n, k, tau, p, nullptr);
  const T total = sum_over<T>(n, [&](int64_t i) { return p[i]; });
  for (int64_t i = 0; i < n; ++i) p[i] /= total;
}

template <class T>
void backward(const T* g, const T* z, int64_t n, int64_t k, T tau, T* slope, T* dz) {
  weights<T>(z, n, k, tau, dz, slope);
  const T total = sum_over<T>(n, [&](int64_t i) { return dz[i]; }),
          expected = sum_over<T>(n, [&](int64_t i) { return dz[i] * g[i]; }) / total;
  for (int64_t i = 0; i < n; ++i) dz[i] = slope[i] * (g[i] - expected) / (total * tau);
  const T level = mean_of(dz, n);
  for (int64_t i = 0; i < n; ++i) dz[i] -= level;
}

}  // namespace

const ShiftMaxRows shift_max_rows{{&forward<float>, &backward<float>}, {&forward<double>, &backward<double>}};

}  // namespace assay::ops::ASSAY_CAPABILITY
