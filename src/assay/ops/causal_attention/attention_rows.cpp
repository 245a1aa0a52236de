// Compiled once for each instruction set (cmake/Simd.cmake).
#include "assay/ops/causal_attention/attention_rows.h"

#include <ATen/cpu/vec/functional.h>
#include <ATen/cpu/vec/vec.h>

#include <cmath>

namespace assay::ops::ASSAY_CAPABILITY {
namespace {

template <class T>
using Vec = at::vec::Vectorized<T>;

// f(i, count) for each vector of [0, n); the last may be short.
template <class T, class F>
void for_vectors(int64_t n, const F& f) {
  constexpr int64_t width = Vec<T>::size();
  int64_t i = 0;
  for (; i + width <= n; i += width) f(i, width);
  if (i < n) f(i, n - i);
}

// The first `count` lanes of a, the others `rest`.
template <class T>
Vec<T> lanes(const Vec<T>& a, int64_t count, T rest) {
  return count == Vec<T>::size() ? a : Vec<T>::set(Vec<T>(rest), a, count);
}

template <class T>
T sum_of(Vec<T>& v) {
  return at::vec::vec_reduce_all<T>([](Vec<T>& a, Vec<T>& b) { return a + b; }, v, Vec<T>::size());
}

template <class T>
T softmax(T* s, int64_t n, int64_t width, T scale) {
  using V = Vec<T>;
  V high(-INFINITY), sum(0);
  for_vectors<T>(n, [&](int64_t i, int64_t c) { high = at::vec::maximum(high, lanes(V::loadu(s + i, c) * V(scale), c, T(-INFINITY))); });
  const T highest = at::vec::vec_reduce_all<T>([](V& a, V& b) { return at::vec::maximum(a, b); }, high, V::size());
  for_vectors<T>(n, [&](int64_t i, int64_t c) {
    const V e = (V::loadu(s + i, c) * V(scale) - V(highest)).exp();
    sum = sum + lanes(e, c, T(0));
    e.store(s + i, static_cast<int>(c));
  });
  const T total = sum_of(sum);
  const V inverse(T(1) / total);
  for_vectors<T>(n, [&](int64_t i, int64_t c) { (V::loadu(s + i, c) * inverse).store(s + i, static_cast<int>(c)); });
  for (int64_t i = n; i < width; ++i) s[i] = 0;
  return highest + std::log(total);
}

template <class T>
void backward(T* s, T* dp, int64_t n, int64_t width, T scale, T lse, const T* g, const T* o, int64_t d) {
  using V = Vec<T>;
  V sum(0);
  for_vectors<T>(d, [&](int64_t i, int64_t c) { sum = sum + lanes(V::loadu(g + i, c) * V::loadu(o + i, c), c, T(0)); });
  const V delta(sum_of(sum));
  for_vectors<T>(n, [&](int64_t i, int64_t c) {
    const V p = (V::loadu(s + i, c) * V(scale) - V(lse)).exp();
    const V ds = V(scale) * p * (V::loadu(dp + i, c) - delta);
    p.store(s + i, static_cast<int>(c));
    ds.store(dp + i, static_cast<int>(c));
  });
  for (int64_t i = n; i < width; ++i) s[i] = dp[i] = 0;
}

}  // namespace

const AttentionRows attention_rows{{softmax<float>, backward<float>}, {softmax<double>, backward<double>}};

}  // namespace assay::ops::ASSAY_CAPABILITY
