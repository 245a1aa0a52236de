#pragma once
// For row kernels that are compiled once for each instruction set (cmake/Simd.cmake).
#include <cstdint>

namespace assay::ops::ASSAY_CAPABILITY {

// Sum of term(i) over [0, n). Partial sums let the compiler use vectors, in an order that depends on n alone; pieces of sixteen terms for each, since
// one long running sum loses digits with its length.
template <class T, class F>
T sum_over(int64_t n, const F& term) {
  T total[16] = {};
  int64_t i = 0;
  while (i + 16 <= n) {
    const int64_t end = i + 256 < n ? i + 256 : n;
    T sum[16] = {};
    for (; i + 16 <= end; i += 16)
      for (int j = 0; j < 16; ++j) sum[j] += term(i + j);
    for (int j = 0; j < 16; ++j) total[j] += sum[j];
  }
  for (int j = 0; i < n; ++i, ++j) total[j] += term(i);
  for (int half = 8; half > 0; half /= 2)
    for (int j = 0; j < half; ++j) total[j] += total[j + half];
  return total[0];
}

}  // namespace assay::ops::ASSAY_CAPABILITY
