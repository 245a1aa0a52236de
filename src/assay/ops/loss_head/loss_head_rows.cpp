// Compiled once for each instruction set (cmake/Simd.cmake).
#include "assay/ops/loss_head/loss_head_rows.h"

#include <cmath>

#include "assay/ops/vectors.h"

namespace assay::ops::ASSAY_CAPABILITY {
namespace {

template <class T>
T row(const T* x, T gain, int64_t target, const LossRowSettings<T>& s, T* dx, T* dgain, T* l) {
  using V = Vec<T>;
  const int64_t n = s.vocab;
  const T inverse_n = T(1) / static_cast<T>(n);
  const auto load = [](const T* p, int64_t count) { return V::loadu(p, count); };
  T r = 1;
  if (s.norm_eps >= 0) {
    const T squares = sum_of_vectors<T>(n, [&](int64_t i, int64_t c) {
      const V v = load(x + i, c);
      return v * v;
    });
    r = T(1) / std::sqrt(squares * inverse_n + s.norm_eps);
  }
  // l: the logits
  const T to_a = gain * r, inverse_cap = s.inverse_softcap;
  V high(-INFINITY);
  for_vectors<T>(n, [&](int64_t i, int64_t c) {
    V a = load(x + i, c) * V(to_a);
    if (s.softcap > 0) a = (a * V(inverse_cap)).tanh() * V(s.softcap);
    a.store(l + i, static_cast<int>(c));
    high = at::vec::maximum(high, lanes(a, c, T(-INFINITY)));
  });
  const T highest = highest_of(high);
  const T mass = sum_of_vectors<T>(n, [&](int64_t i, int64_t c) { return (load(l + i, c) - V(highest)).exp(); });
  const T lse = highest + std::log(mass), hit = l[target];
  T loss = (1 - s.smoothing) * (lse - hit) + s.z_loss * lse * lse;
  if (s.smoothing > 0) loss += s.smoothing * (lse - inverse_n * sum_of_vectors<T>(n, [&](int64_t i, int64_t c) { return load(l + i, c); }));
  if (dx == nullptr) return loss;
  // l becomes d(weight * loss)/da
  const T share = s.weight * (1 + 2 * s.z_loss * lse) / mass, even = s.weight * s.smoothing * inverse_n;
  const T hit_slope = s.softcap > 0 ? 1 - hit * inverse_cap * hit * inverse_cap : T(1);
  for_vectors<T>(n, [&](int64_t i, int64_t c) {
    const V value = load(l + i, c);
    V d = (value - V(highest)).exp() * V(share) - V(even);
    if (s.softcap > 0) {
      const V t = value * V(inverse_cap);
      d = d * (V(1) - t * t);
    }
    d.store(l + i, static_cast<int>(c));
  });
  l[target] -= s.weight * (1 - s.smoothing) * hit_slope;
  const T along = sum_of_vectors<T>(n, [&](int64_t i, int64_t c) { return load(l + i, c) * load(x + i, c); });  // da . x
  *dgain = along * r;
  const T back = s.norm_eps >= 0 ? gain * r * r * r * inverse_n * along : T(0);
  for_vectors<T>(n,
                 [&](int64_t i, int64_t c) { (load(l + i, c) * V(to_a) - load(x + i, c) * V(back)).store(dx + i, static_cast<int>(c)); });
  return loss;
}

}  // namespace

const LossRows loss_rows{&row<float>, &row<double>};

}  // namespace assay::ops::ASSAY_CAPABILITY
