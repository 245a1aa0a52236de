#pragma once
// A row in the registers of a warp.
#include "assay/ops/loss_head/loss_numbers.cuh"

namespace assay::ops::loss_rows {

// A row a warp: element j of lane k is column (j / W * 32 + k) * W + j % W, so that loads are W elements wide. FULL: the row fills all of them.
template <class In, int PER, int W, bool FULL, bool PLAIN>
__global__ void __launch_bounds__(kWarp* kWarpsPerBlock, 4) warp_rows(LossHeadArguments a) {
  using T = typename Inside<In>::type;
  const int lane = threadIdx.x % kWarp, vocab = static_cast<int>(a.vocab);
  const int64_t row = int64_t{blockIdx.x} * kWarpsPerBlock + threadIdx.x / kWarp, rows = a.batch * (a.last - a.first);
  if (row >= rows) return;
  const LossRowSettings<T> s = settings_of<T>(a);
  const int64_t position = position_of(a, row);
  const In* x = static_cast<const In*>(a.x) + position * a.stride;
  const bool known = a.targets[position] >= 0 && a.targets[position] < a.vocab;
  const int target = known ? static_cast<int>(a.targets[position]) : 0;
  const T at_target = wide(x[target]);  // read by all lanes; the gradient may take its place below
  const T gain = !PLAIN && a.gain != nullptr ? *static_cast<const T*>(a.gain) : T(1), inverse_n = T(1) / static_cast<T>(vocab);
  struct alignas(sizeof(In) * W) Pack {
    In e[W];
  };
  const auto column = [&](int j) { return (j / W * kWarp + lane) * W + j % W; };
  const auto inside = [&](int j) { return FULL || column(j) < vocab; };
  T v[PER], l[PER];
#pragma unroll
  for (int j = 0; j < PER; j += W) {
    if (inside(j)) {
      const Pack p = *reinterpret_cast<const Pack*>(x + column(j));
#pragma unroll
      for (int e = 0; e < W; ++e) v[j + e] = wide(p.e[e]);
    } else {
#pragma unroll
      for (int e = 0; e < W; ++e) v[j + e] = 0;
    }
  }
  T r = 1;
  if (!PLAIN && s.norm_eps >= 0) {
    T squares = 0;
#pragma unroll
    for (int j = 0; j < PER; ++j) squares += v[j] * v[j];
    r = 1 / sqrt(warp_all(squares, Plus()) * inverse_n + s.norm_eps);
  }
  const T to_a = r * gain, hit = PLAIN ? at_target : capped(at_target * to_a, s);
  T highest = -INFINITY;
#pragma unroll
  for (int j = 0; j < PER; ++j) {
    l[j] = !inside(j) ? -INFINITY : PLAIN ? v[j] : capped(v[j] * to_a, s);
    highest = largest_of(highest, l[j]);
  }
  highest = warp_all(highest, Largest());
  T mean = 0;
  if (s.smoothing > 0) {
    T sum = 0;
#pragma unroll
    for (int j = 0; j < PER; ++j) sum += inside(j) ? l[j] : T(0);
    mean = warp_all(sum, Plus()) * inverse_n;
  }
  const T base = base_of(highest);
  T mass = 0;
#pragma unroll
  for (int j = 0; j < PER; ++j) {
    const T e = power(l[j], base);
    mass += e;
    if (PLAIN) l[j] = e;  // all that the gradient wants of l
  }
  const RowNumbers<T> n = row_numbers(base, warp_all(mass, Plus()), s);
  // A target outside the vocabulary makes the loss NaN: the device cannot throw.
  if (lane == 0) a.row_loss[row] = known ? static_cast<double>(row_loss(n, hit, mean, s)) : NAN;
  if (a.dx == nullptr) return;
  T along = 0, back = 0;
#pragma unroll
  for (int j = 0; j < PER; ++j) {
    l[j] = PLAIN ? l[j] * n.share - n.even : inside(j) ? logit_gradient(l[j], false, n, s) : T(0);
    if (!PLAIN) along += l[j] * v[j];
  }
  // What is the target's alone, added once and not looked for in every column.
  const T hit_gradient = logit_gradient(hit, known, n, s);
  if (!PLAIN && (s.norm_eps >= 0 || a.gain != nullptr)) {
    along = warp_all(along, Plus()) + (hit_gradient - logit_gradient(hit, false, n, s)) * at_target;
    if (lane == 0) a.row_dgain[row] = static_cast<double>(along * r);
    if (s.norm_eps >= 0) back = gain * r * r * r * inverse_n * along;
  }
  In* dx = static_cast<In*>(a.dx) + position * a.stride;
#pragma unroll
  for (int j = 0; j < PER; j += W) {
    if (!inside(j)) continue;
    Pack p;
#pragma unroll
    for (int e = 0; e < W; ++e) p.e[e] = narrow<In, T>(PLAIN ? l[j + e] : l[j + e] * to_a - v[j + e] * back);
    *reinterpret_cast<Pack*>(dx + column(j)) = p;
  }
  if (lane == target / W % kWarp) dx[target] = narrow<In, T>(hit_gradient * to_a - at_target * back);  // behind this lane's own pack
}

}  // namespace assay::ops::loss_rows
