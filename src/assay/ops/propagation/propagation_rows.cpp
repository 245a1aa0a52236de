// Compiled once for each instruction set (cmake/Simd.cmake).
#include "assay/ops/propagation/propagation_rows.h"

#include <cmath>

#include "assay/ops/partial_sums.h"

namespace assay::ops::ASSAY_CAPABILITY {
namespace {

template <class T>
T inverse_norm(const T* x, int64_t n, T eps) {
  return T(1) / std::sqrt(sum_over<T>(n, [&](int64_t i) { return x[i] * x[i]; }) / static_cast<T>(n) + eps);
}

template <class T>
void weigh(const ScoreRow<T>& row, T* __restrict scores, T* __restrict mix) {
  for (int64_t s = 0; s < row.n; ++s) {
    scores[s] *= row.w[s] * (row.r_t * row.r[s]);
    mix[s] = row.c * scores[s] * row.r[s];
  }
}

template <class T>
ScoreSums<T> gradient(const ScoreRow<T>& row, const T* __restrict scores, T* __restrict dots, T* __restrict mix, T* __restrict h,
                      T* __restrict columns) {
  for (int64_t s = 0; s < row.n; ++s) {
    const T up = dots[s] * row.r[s];
    h[s] = scores[s] * up;
    columns[s] += h[s];
    dots[s] = row.c * row.w[s] * up * (row.r_t * row.r[s]);
    mix[s] = row.c * scores[s] * row.r[s];
  }
  return {sum_over<T>(row.n, [&](int64_t s) { return h[s]; }),
          sum_over<T>(row.n, [&](int64_t s) { return static_cast<T>(row.n - 1 - s) * h[s]; })};
}

template <class T>
void combine(const T* g, const T* x, const T* y, const T* w, const T* scale, T beta, int64_t n, T* __restrict dx, T* __restrict sums) {
  for (int64_t i = 0; i < n; ++i) {
    dx[i] = g[i] + (scale[i] * y[i] + w[i] - beta * x[i]);
    sums[i] += T(0.5) * x[i] * y[i];
  }
}

template <class T>
constexpr PropagationRow<T> table() {
  return {&inverse_norm<T>, &weigh<T>, &gradient<T>, &combine<T>};
}

}  // namespace

const PropagationRows propagation_rows{table<float>(), table<double>()};

}  // namespace assay::ops::ASSAY_CAPABILITY
