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

// Value and slope; the slope is dead code where it is not used.
template <class T, int64_t ACTIVATION>
inline Activated<T> activate(const Vec<T>& a) {
  using V = Vec<T>;
  const V zero(0), one(1);
  if constexpr (ACTIVATION == kGelu) {
    const V phi = (one + (a * V(T(0.7071067811865475244))).erf()) * V(T(0.5));
    return {a * phi, phi + a * (a * a * V(T(-0.5))).exp() * V(T(0.39894228040143267794))};
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

template <class T>
struct Operands {
  const T *m, *z, *diag, *bias;
  Vec<T> at(int64_t i, int64_t count) const {
    Vec<T> a = Vec<T>::loadu(m + i, count);
    if (bias != nullptr) a = a + Vec<T>::loadu(bias + i, count);
    if (diag != nullptr) a = a + Vec<T>::loadu(z + i, count) * Vec<T>::loadu(diag + i, count);
    return a;
  }
};

template <class T, int64_t ACTIVATION>
void forward_as(const T* x, const Operands<T>& in, T c, int64_t n, T* out) {
  for_vectors<T>(n, [&](int64_t i, int64_t count) {
    (Vec<T>::loadu(x + i, count) + Vec<T>(c) * activate<T, ACTIVATION>(in.at(i, count)).value).store(out + i, static_cast<int>(count));
  });
}

template <class T, int64_t ACTIVATION>
T backward_as(const T* g, const Operands<T>& in, T c, int64_t n, T* dm, T* dz, T* ddiag, T* dbias) {
  using V = Vec<T>;
  V along(0);
  for_vectors<T>(n, [&](int64_t i, int64_t count) {
    const V up = V::loadu(g + i, count);  // zero beyond the row's end
    const Activated<T> act = activate<T, ACTIVATION>(in.at(i, count));
    along = along + up * act.value;
    const V d = up * V(c) * act.slope;
    const int live = static_cast<int>(count);
    d.store(dm + i, live);
    if (in.diag != nullptr) {
      (d * V::loadu(in.diag + i, count)).store(dz + i, live);
      (V::loadu(ddiag + i, count) + d * V::loadu(in.z + i, count)).store(ddiag + i, live);
    }
    if (in.bias != nullptr) (V::loadu(dbias + i, count) + d).store(dbias + i, live);
  });
  return sum_of(along);
}

template <class T>
void forward(const T* x, const T* m, const T* z, const T* diag, const T* bias, T c, int64_t activation, int64_t n, T* out) {
  const Operands<T> in{m, z, diag, bias};
  switch (activation) {
    case kGelu: return forward_as<T, kGelu>(x, in, c, n, out);
    case kRelu: return forward_as<T, kRelu>(x, in, c, n, out);
    case kRelu2: return forward_as<T, kRelu2>(x, in, c, n, out);
    case kSwish: return forward_as<T, kSwish>(x, in, c, n, out);
    default: return forward_as<T, kNone>(x, in, c, n, out);
  }
}

template <class T>
T backward(const T* g, const T* m, const T* z, const T* diag, const T* bias, T c, int64_t activation, int64_t n, T* dm, T* dz, T* ddiag,
           T* dbias) {
  const Operands<T> in{m, z, diag, bias};
  switch (activation) {
    case kGelu: return backward_as<T, kGelu>(g, in, c, n, dm, dz, ddiag, dbias);
    case kRelu: return backward_as<T, kRelu>(g, in, c, n, dm, dz, ddiag, dbias);
    case kRelu2: return backward_as<T, kRelu2>(g, in, c, n, dm, dz, ddiag, dbias);
    case kSwish: return backward_as<T, kSwish>(g, in, c, n, dm, dz, ddiag, dbias);
    default: return backward_as<T, kNone>(g, in, c, n, dm, dz, ddiag, dbias);
  }
}

}  // namespace

const ResidualRows residual_rows{{&forward<float>, &backward<float>}, {&forward<double>, &backward<double>}};

}  // namespace assay::ops::ASSAY_CAPABILITY
