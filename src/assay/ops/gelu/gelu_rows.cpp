// Compiled once for each instruction set (cmake/Simd.cmake).
#include "assay/ops/gelu/gelu_rows.h"

#include "assay/ops/vectors.h"

namespace assay::ops::ASSAY_CAPABILITY {
namespace {

constexpr double kTwice = 2 * 0.79788456080286535588, kCubic = 0.044715;  // 2 sqrt(2/pi)

// e = exp(-2z) of u with square = u^2: sigmoid(2z) = 1 / (1 + e). Of sigmoid and what it lacks to 1 only the smaller is computed, the other is the
// difference, which does not cancel. An e that overflows gives 0 and 1, as it should.
template <class T>
inline Vec<T> exponential_of(const Vec<T>& u, const Vec<T>& square) {
  using V = Vec<T>;
  return (u * (V(T(-kTwice)) + square * V(T(-kTwice * kCubic)))).exp();
}

template <class T>
void forward(const T* u, int64_t n, T* y) {
  using V = Vec<T>;
  for_vectors<T>(n, [&](int64_t i, int64_t c) {
    const V a = V::loadu(u + i, c);
    const V e = exponential_of<T>(a, a * a), below = a / (V(1) + e);
    // Above zero what is missing to a is the small part: 1 + e, rounded, would cost more.
    V::blendv(below, at::vec::fnmadd(below, e, a), a > V(0)).store(y + i, static_cast<int>(c));
  });
}

template <class T>
void backward(const T* u, const T* dy, int64_t n, T* du) {
  using V = Vec<T>;
  for_vectors<T>(n, [&](int64_t i, int64_t c) {
    const V a = V::loadu(u + i, c), square = a * a, e = exponential_of<T>(a, square), below = V(1) / (V(1) + e),
            smaller = V::blendv(below, e * below, a > V(0)), larger = V(1) - smaller, s = V::blendv(smaller, larger, a > V(0));
    const V slope = V(T(kTwice)) + square * V(T(3 * kTwice * kCubic));  // 2 dz/du
    (V::loadu(dy + i, c) * (s + a * smaller * larger * slope)).store(du + i, static_cast<int>(c));
  });
}

}  // namespace

const GeluRows gelu_rows{{&forward<float>, &backward<float>}, {&forward<double>, &backward<double>}};

}  // namespace assay::ops::ASSAY_CAPABILITY
