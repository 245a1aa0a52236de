#pragma once
#include <cstdint>

#include "assay/tensor/simd.h"

namespace assay::ops {

// What a row t of the table of scores is made of: n of its keys, whose weights are w and whose factors of the norm are r.
template <class T>
struct ScoreRow {
  const T *w, *r;
  T r_t, c;
  int64_t n;
};
template <class T>
struct ScoreSums {
  T all, by_distance;
};

template <class T>
struct PropagationRow {
  T (*inverse_norm)(const T* x, int64_t n, T eps);
  // dots x_t scale . x_s -> scores (z_t scale . z_s) w; mix: what x'_t takes of x_s.
  void (*weigh)(const ScoreRow<T>& row, T* scores, T* mix);
  // dots g_t . x_s -> what dx_t takes of x_s scale; mix as above; h = scores (g_t . z_s), added to columns. Sums of h, and of h times (n - 1 - s).
  ScoreSums<T> (*gradient)(const ScoreRow<T>& row, const T* scores, T* dots, T* mix, T* h, T* columns);
  // dx = g + scale y + w - beta x for n columns, sums = sum + x y / 2
  void (*combine)(const T* g, const T* x, const T* y, const T* w, const T* scale, T beta, int64_t n, T* dx, T* sums);
};
struct PropagationRows {
  PropagationRow<float> f32;
  PropagationRow<double> f64;
};

ASSAY_SIMD_TABLE(PropagationRows, propagation_rows)

}  // namespace assay::ops
