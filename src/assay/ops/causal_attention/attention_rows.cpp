// Compiled once for each instruction set (cmake/Simd.cmake).
#include "assay/ops/causal_attention/attention_rows.h"

#include <cmath>

#include "assay/ops/vectors.h"

namespace assay::ops::ASSAY_CAPABILITY {
namespace {

// s <- exp(scale (s - the largest)), each vector shown to seen(i, count, vector); returns the sum. The largest is taken off before the scale, which
// would round it.
template <class T, class Seen>
T exponentials(T* s, int64_t n, T scale, const Seen& seen) {
  using V = Vec<T>;
  V high(-INFINITY);
  for_vectors<T>(n, [&](int64_t i, int64_t c) { high = at::vec::maximum(high, lanes(V::loadu(s + i, c), c, T(-INFINITY))); });
  const V highest(highest_of(high));
  return sum_of_vectors<T>(n, [&](int64_t i, int64_t c) {
    const V e = ((V::loadu(s + i, c) - highest) * V(scale)).exp();
    e.store(s + i, static_cast<int>(c));
    seen(i, c, e);
    return e;
  });
}

template <class T>
void softmax(T* s, int64_t n, int64_t width, T scale) {
  using V = Vec<T>;
  const V total(exponentials(s, n, scale, [](int64_t, int64_t, const V&) {}));
  for_vectors<T>(n, [&](int64_t i, int64_t c) { (V::loadu(s + i, c) / total).store(s + i, static_cast<int>(c)); });
  for (int64_t i = n; i < width; ++i) s[i] = 0;
}

template <class T>
void backward(T* s, T* dp, int64_t n, int64_t width, T scale) {
  using V = Vec<T>;
  V along(0);
  const T total =
      exponentials(s, n, scale, [&](int64_t i, int64_t c, const V& e) { along = along + lanes(e * V::loadu(dp + i, c), c, T(0)); });
  const V delta(sum_of(along) / total);
  // And the mean of what is left: where one key has nearly all the weight dp - delta cancels, and p sums to 1 to rounding alone.
  const V rest(sum_of_vectors<T>(n, [&](int64_t i, int64_t c) {
    const V p = V::loadu(s + i, c) / V(total);
    p.store(s + i, static_cast<int>(c));
    return p * (V::loadu(dp + i, c) - delta);
  }));
  for_vectors<T>(n, [&](int64_t i, int64_t c) {
    (V(scale) * V::loadu(s + i, c) * (V::loadu(dp + i, c) - delta - rest)).store(dp + i, static_cast<int>(c));
  });
  for (int64_t i = n; i < width; ++i) s[i] = dp[i] = 0;
}

}  // namespace

const AttentionRows attention_rows{{softmax<float>, backward<float>}, {softmax<double>, backward<double>}};

}  // namespace assay::ops::ASSAY_CAPABILITY
