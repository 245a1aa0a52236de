#pragma once
// What both precisions of the op have in common: the tables of T x T numbers.
#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <vector>

#include "assay/ops/propagation/propagation_rows.h"
#include "assay/tensor/aten.h"

namespace assay::ops {

inline const PropagationRow<float>& propagation_row(float) { return propagation_rows().f32; }
inline const PropagationRow<double>& propagation_row(double) { return propagation_rows().f64; }

// lambda^n as a row's keys meet them, the nearest last: those of row t are t numbers from of(t) on. Below the smallest normal number 0.
template <class T>
class KeyWeights {
 public:
  KeyWeights(double logit, int64_t length) : powers_(static_cast<size_t>(length)), length_(length) {
    const double log_lambda = -std::log1p(std::exp(-logit));
    for (int64_t n = 0; n < length; ++n) {
      const double p = std::exp(static_cast<double>(n) * log_lambda);
      if (p < static_cast<double>(std::numeric_limits<T>::min())) break;
      powers_[static_cast<size_t>(length - 1 - n)] = static_cast<T>(p), reach_ = n + 1;
    }
  }
  const T* of(int64_t t) const { return powers_.data() + length_ - t; }
  int64_t reach() const { return reach_; }

 private:
  std::vector<T> powers_;
  int64_t length_, reach_ = 0;
};

// Row t of the table from the first key on that it sees; what it does not see becomes 0 in all of `tables`.
template <class T>
int64_t cleared(int64_t t, int64_t length, int64_t reach, std::initializer_list<T*> tables) {
  const int64_t first = std::max<int64_t>(0, t - reach);
  for (T* table : tables) {
    std::fill(table + t * length, table + t * length + first, T(0));
    std::fill(table + t * length + t, table + (t + 1) * length, T(0));
  }
  return first;
}

// to = the transpose of from [n, n], by squares that stay in the nearest cache; where both are one its upper half becomes the lower one's.
template <class T>
void turn(const T* from, T* to, int64_t n) {
  constexpr int64_t kSquare = 16;
  for (int64_t t = 0; t < n; t += kSquare)
    for (int64_t s = 0; s < (from == to ? t + 1 : n); s += kSquare)
      for (int64_t i = t; i < std::min(n, t + kSquare); ++i)
        for (int64_t j = s; j < std::min(from == to ? i : n, s + kSquare); ++j) to[j * n + i] = from[i * n + j];
}

template <class T>
struct PropagationInputs {
  const T* scale;
  T c;
  double eps;
  KeyWeights<T> weights;
};

// What the table of scores gives before the state's gradient is made.
template <class T>
struct TableGrads {
  T *similar, *mix;      // dx_t = g_t + scale sum_s similar_ts x_s + sum_s mix_st g_s - beta_t x_t;  `similar` is symmetric
  std::vector<T> along;  // dz_t . z_t
  T beta(int64_t t, T r_t, int64_t V) const { return r_t * r_t * along[static_cast<size_t>(t)] / static_cast<T>(V); }
  double c = 0, by_distance = 0;
};

template <class T>
void gradients_of_table(const PropagationInputs<T>& in, const T* scores, const T* r, int64_t length, TableGrads<T>& to) {
  std::vector<T> h(static_cast<size_t>(length)), columns(h), across(h);
  for (int64_t t = 0; t < length; ++t) {
    const int64_t first = cleared(t, length, in.weights.reach(), {to.similar, to.mix}), at = t * length + first;
    const ScoreSums<T> sums = propagation_row(T()).gradient({in.weights.of(t) + first, r + first, r[t], in.c, t - first}, scores + at,
                                                            to.similar + at, to.mix + at, h.data(), columns.data() + first);
    across[static_cast<size_t>(t)] = sums.all;
    to.c += static_cast<double>(sums.all), to.by_distance += static_cast<double>(sums.by_distance);
  }
  turn(to.similar, to.similar, length);
  for (int64_t t = 0; t < length; ++t) to.along.push_back(in.c * (across[static_cast<size_t>(t)] + 2 * columns[static_cast<size_t>(t)]));
}

// One sequence [T, V] each, with bfloat16 operands of the products: rounded z, scale z, g and tables. `r`: the factors of the norm.
void forward_in_bf16(const Tensor& x, const PropagationInputs<float>& in, float* scores, float* r, const Tensor& out);
void backward_in_bf16(const Tensor& g, const Tensor& x, const PropagationInputs<float>& in, const float* scores, const float* r,
                      TableGrads<float>& table, float* dx, float* dscale);

}  // namespace assay::ops
