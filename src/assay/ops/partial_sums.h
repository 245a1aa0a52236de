#pragma once
// For row kernels that are compiled once for each instruction set (cmake/Simd.cmake).
#include <cstdint>

namespace assay::ops::ASSAY_CAPABILITY {

// Sum of term(i) over [0, n). Partial sums let the compiler use vectors, in an order that depends on n alone.
template <class T, class F>
T sum_over(int64_t n, const F& term) {
  T sum[16] = {};
  int64_t i = 0;
  for (; i + 16 <= n; i += 16)
    for (int j = 0; j < 16; ++j) sum[j] += term(i + j);
  for (; i < n; ++i) sum[0] += term(i);
  T total = 0;
  for (T s : sum) total += s;
  return total;
}

}  // namespace assay::ops::ASSAY_CAPABILITY
