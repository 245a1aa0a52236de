// Compiled once for each instruction set (cmake/Simd.cmake).
#include "assay/ops/adam/adam_rows.h"

namespace assay::ops::ASSAY_CAPABILITY {
namespace {

// Sixteen partial sums let the compiler use vectors, in an order that depends on n alone.
template <class T>
double square_sum(const T* g, int64_t n) {
  double sum[16] = {};
  int64_t i = 0;
  for (; i + 16 <= n; i += 16)
    for (int j = 0; j < 16; ++j) sum[j] += static_cast<double>(g[i + j]) * static_cast<double>(g[i + j]);
  for (; i < n; ++i) sum[0] += static_cast<double>(g[i]) * static_cast<double>(g[i]);
  double total = 0;
  for (double s : sum) total += s;
  return total;
}

template <class T>
void adam(T* __restrict p, const T* __restrict g, T* __restrict m, T* __restrict v, int64_t n, const ChunkNumbers<T>& given) {
  const ChunkNumbers<T> numbers = given;
  for (int64_t i = 0; i < n; ++i) adam_element(p[i], g[i], m[i], v[i], numbers);
}

}  // namespace

const AdamRows adam_rows{&square_sum<float>, &square_sum<double>, &adam<float>, &adam<double>};

}  // namespace assay::ops::ASSAY_CAPABILITY
