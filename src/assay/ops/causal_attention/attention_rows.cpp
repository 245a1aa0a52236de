// Compiled once for each instruction set (cmake/Simd.cmake).
#include "assay/ops/causal_attention/attention_rows.h"

#include <cmath>

#include "assay/ops/vectors.h"

namespace assay::ops::ASSAY_CAPABILITY {
namespace {

template <class T>
T softmax(T* s, int64_t n, int64_t width, T scale) {
  using V = Vec<T>;
  V high(-INFINITY), sum(0);
  for_vectors<T>(n, [&](int64_t i, int64_t c) { high = at::vec::maximum(high, lanes(V::loadu(s + i, c) * V(scale), c, T(-INFINITY))); });
  const T highest = highest_of(high);
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
  const V delta(sum_of_vectors<T>(d, [&](int64_t i, int64_t c) { return V::loadu(g + i, c) * V::loadu(o + i, c); }));
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
