// Compiled once for each instruction set (cmake/Simd.cmake).
#include "assay/ops/causal_conv/causal_conv_rows.h"

#include "assay/ops/vectors.h"

namespace assay::ops::ASSAY_CAPABILITY {
namespace {

template <class T>
void forward(T* to, const T* start, const T* w, int64_t w_stride, const T* from, int64_t from_stride, int64_t taps, int64_t n) {
  using V = Vec<T>;
  for_vectors<T>(n, [&](int64_t i, int64_t count) {
    V sum = start == nullptr ? V(0) : V::loadu(start + i, count);
    for (int64_t j = 0; j < taps; ++j)
      sum = at::vec::fmadd(V::loadu(w + j * w_stride + i, count), V::loadu(from + j * from_stride + i, count), sum);
    sum.store(to + i, static_cast<int>(count));
  });
}

template <class T>
void weights(const T* g, const T* from, int64_t from_stride, int64_t taps, int64_t n, T* dw, int64_t dw_stride, T* db) {
  using V = Vec<T>;
  for_vectors<T>(n, [&](int64_t i, int64_t count) {
    const V up = V::loadu(g + i, count);
    const int live = static_cast<int>(count);
    (V::loadu(db + i, count) + up).store(db + i, live);
    for (int64_t j = 0; j < taps; ++j) {
      T* to = dw + j * dw_stride + i;
      at::vec::fmadd(up, V::loadu(from + j * from_stride + i, count), V::loadu(to, count)).store(to, live);
    }
  });
}

}  // namespace

const CausalConvRows causal_conv_rows{{&forward<float>, &weights<float>}, {&forward<double>, &weights<double>}};

}  // namespace assay::ops::ASSAY_CAPABILITY
