// Compiled once for each instruction set (cmake/Simd.cmake).
#include "assay/ops/residual/residual_rows.h"

#include "assay/ops/vectors.h"

namespace assay::ops::ASSAY_CAPABILITY {
namespace {

enum : int64_t { kNone = 0, kGelu = 1, kRelu = 2, kRelu2 = 3, kSwish = 4 };

template <class T>
struct Activated {
  Vec<T> value, slope;
};

// Phi(a), the normal distribution function, and e = exp(-a^2 / 2), which its slope wants too. In float32 by the one exponential, Phi(-|a|) =
// e t P(t) / 2 with t = 1 / (1 + p |a| / sqrt 2) (Abramowitz and Stegun 7.1.26, the approximation that Vectorized<float>::erf takes).
template <class T>
struct NormalDistribution {
  Vec<T> phi, e;
};
template <class T>
inline NormalDistribution<T> normal_distribution(const Vec<T>& a) {
  using V = Vec<T>;
  const V one(1), half(T(0.5)), e = (a * a * V(T(-0.5))).exp();
  if constexpr (sizeof(T) == sizeof(double)) {
    return {(one + (a * V(T(0.7071067811865475244))).erf()) * half, e};
  } else {
    const V t = one / (one + a.abs() * V(T(0.3275911 * 0.7071067811865475244)));
    V p = V(T(1.061405429));
    for (const double c : {-1.453152027, 1.421413741, -0.284496736, 0.254829592}) p = at::vec::fmadd(p, t, V(static_cast<T>(c)));
    const V beyond = p * t * e * half;
    return {V::blendv(one - beyond, beyond, a < V(0)), e};
  }
}

// Value and slope; the slope is dead code where it is not used.
template <class T, int64_t ACTIVATION>
inline Activated<T> activate(const Vec<T>& a) {
  using V = Vec<T>;
  const V zero(0), one(1);
  if constexpr (ACTIVATION == kGelu) {
    const auto [phi, e] = normal_distribution<T>(a);
    return {a * phi, phi + a * e * V(T(0.39894228040143267794))};
  } else if constexpr (ACTIVATION == kRelu) {
    return {V::blendv(zero, a, a > zero), V::blendv(zero, one, a > zero)};
  } else if constexpr (ACTIVATION == kRelu2) {
    const V positive = V::blendv(zero, a, a > zero);
    return {positive * positive, positive + positive};
  } else if constexpr (ACTIVATION == kSwish) {
    const V sigmoid = one / (one + a.neg().exp());
    return {a * sigmoid, sigmoid * (one + a * (one - sigmoid))};
  } else {
    return {a, one};
  }
}

// m + bias + z diag at columns i to i + count of a row.
template <class T>
inline Vec<T> branch(const T* m, const T* z, const ResidualTerms<T>& terms, int64_t i, int64_t count) {
  Vec<T> a = Vec<T>::loadu(m + i, count);
  if (terms.bias != nullptr) a = a + Vec<T>::loadu(terms.bias + i, count);
  if (terms.diag != nullptr) a = a + Vec<T>::loadu(z + i, count) * Vec<T>::loadu(terms.diag + i, count);
  return a;
}

template <class T>
inline Vec<T> factor(const ResidualTerms<T>& terms, int64_t i, int64_t count) {
  return terms.each ? Vec<T>::loadu(terms.c + i, count) : Vec<T>(*terms.c);
}

template <class T, int64_t ACTIVATION>
void forward_as(const T* x, const T* m, const T* z, const ResidualTerms<T>& terms, int64_t n, T* out) {
  for_vectors<T>(n, [&](int64_t i, int64_t count) {
    const Vec<T> a = activate<T, ACTIVATION>(branch(m, z, terms, i, count)).value;
    (Vec<T>::loadu(x + i, count) + factor(terms, i, count) * a).store(out + i, static_cast<int>(count));
  });
}

template <class T, int64_t ACTIVATION>
void backward_as(const T* g, const T* m, const T* z, const ResidualTerms<T>& terms, int64_t n, T* dm, T* dz, T* ddiag, T* dbias, T* dc) {
  using V = Vec<T>;
  V along(0);
  for_vectors<T>(n, [&](int64_t i, int64_t count) {
    const V up = V::loadu(g + i, count);  // zero beyond the row's end
    const Activated<T> act = activate<T, ACTIVATION>(branch(m, z, terms, i, count));
    const V d = up * factor(terms, i, count) * act.slope;
    const int live = static_cast<int>(count);
    if (terms.each) (V::loadu(dc + i, count) + up * act.value).store(dc + i, live);
    else along = along + up * act.value;
    d.store(dm + i, live);
    if (terms.diag != nullptr) {
      (d * V::loadu(terms.diag + i, count)).store(dz + i, live);
      (V::loadu(ddiag + i, count) + d * V::loadu(z + i, count)).store(ddiag + i, live);
    }
    if (terms.bias != nullptr) (V::loadu(dbias + i, count) + d).store(dbias + i, live);
  });
  if (!terms.each) *dc += sum_of(along);
}

template <class T>
void forward(const T* x, const T* m, const T* z, const ResidualTerms<T>& terms, int64_t n, T* out) {
  switch (terms.activation) {
    case kGelu: return forward_as<T, kGelu>(x, m, z, terms, n, out);
    case kRelu: return forward_as<T, kRelu>(x, m, z, terms, n, out);
    case kRelu2: return forward_as<T, kRelu2>(x, m, z, terms, n, out);
    case kSwish: return forward_as<T, kSwish>(x, m, z, terms, n, out);
    default: return forward_as<T, kNone>(x, m, z, terms, n, out);
  }
}

template <class T>
void backward(const T* g, const T* m, const T* z, const ResidualTerms<T>& terms, int64_t n, T* dm, T* dz, T* ddiag, T* dbias, T* dc) {
  switch (terms.activation) {
    case kGelu: return backward_as<T, kGelu>(g, m, z, terms, n, dm, dz, ddiag, dbias, dc);
    case kRelu: return backward_as<T, kRelu>(g, m, z, terms, n, dm, dz, ddiag, dbias, dc);
    case kRelu2: return backward_as<T, kRelu2>(g, m, z, terms, n, dm, dz, ddiag, dbias, dc);
    case kSwish: return backward_as<T, kSwish>(g, m, z, terms, n, dm, dz, ddiag, dbias, dc);
    default: return backward_as<T, kNone>(g, m, z, terms, n, dm, dz, ddiag, dbias, dc);
  }
}

}  // namespace

const ResidualRows residual_rows{{&forward<float>, &backward<float>}, {&forward<double>, &backward<double>}};

}  // namespace assay::ops::ASSAY_CAPABILITY
