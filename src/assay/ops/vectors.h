#pragma once
// For row kernels that are compiled once for each instruction set (cmake/Simd.cmake): a row as vectors of that set.
#include <ATen/cpu/vec/functional.h>
#include <ATen/cpu/vec/vec.h>

#include <cstdint>

namespace assay::ops::ASSAY_CAPABILITY {

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
T highest_of(Vec<T>& v) {
  return at::vec::vec_reduce_all<T>([](Vec<T>& a, Vec<T>& b) { return at::vec::maximum(a, b); }, v, Vec<T>::size());
}

// Sum of part(i, count) over the vectors of [0, n), each asked for once and in order. Four running sums, and of pieces of sixteen terms each: one long
// running sum loses digits with its length.
template <class T, class F>
T sum_of_vectors(int64_t n, const F& part) {
  constexpr int64_t width = Vec<T>::size(), four = 4 * width, piece = 16 * four;
  Vec<T> total(0);
  int64_t i = 0;
  while (i + four <= n) {
    const int64_t end = i + piece < n ? i + piece : n;
    Vec<T> a(0), b(0), c(0), d(0);
    for (; i + four <= end; i += four) {
      a = a + part(i, width);
      b = b + part(i + width, width);
      c = c + part(i + 2 * width, width);
      d = d + part(i + 3 * width, width);
    }
    total = total + ((a + b) + (c + d));
  }
  for (; i + width <= n; i += width) total = total + part(i, width);
  if (i < n) total = total + lanes(part(i, n - i), n - i, T(0));
  return sum_of(total);
}

}  // namespace assay::ops::ASSAY_CAPABILITY
