#pragma once
// A row a block, read where it lies or staged in shared memory.
#include "assay/ops/loss_head/loss_numbers.cuh"

namespace assay::ops::loss_rows {

// Walks a row by packs of 16 bytes: f(first column, number of columns, elements). Rows of an odd width begin anywhere, so single elements come first,
// up to an aligned address, and last.
template <class In, class F>
__device__ void for_packs(const In* x, int n, F&& f) {
  constexpr int kPack = 16 / sizeof(In);
  union Pack {
    uint4 bits;
    In e[kPack];
    __device__ Pack() {}
  };
  const int to_aligned = static_cast<int>((16 - reinterpret_cast<uintptr_t>(x) % 16) % 16 / sizeof(In)),
            head = to_aligned < n ? to_aligned : n;
  const int packs = (n - head) / kPack, tail = head + packs * kPack;
  Pack p;
  for (int i = threadIdx.x; i < head; i += kBlock) {
    p.e[0] = x[i];
    f(i, 1, p.e);
  }
  for (int i = threadIdx.x; i < packs; i += kBlock) {
    p.bits = reinterpret_cast<const uint4*>(x + head)[i];
    f(head + i * kPack, kPack, p.e);
  }
  for (int i = tail + threadIdx.x; i < n; i += kBlock) {
    p.e[0] = x[i];
    f(i, 1, p.e);
  }
}

// A row a block, staged in shared memory where it fits.
template <class In, bool STAGED>
__global__ void __launch_bounds__(kBlock) block_rows(LossHeadArguments a) {
  using T = typename Inside<In>::type;
  constexpr int kPack = 16 / sizeof(In);
  extern __shared__ __align__(16) unsigned char shared[];
  const LossRowSettings<T> s = settings_of<T>(a);
  const int64_t row = blockIdx.x, position = position_of(a, row);
  const int n = static_cast<int>(a.vocab);
  const bool known = a.targets[position] >= 0 && a.targets[position] < a.vocab;
  const int target = known ? static_cast<int>(a.targets[position]) : -1;
  const In* from = static_cast<const In*>(a.x) + position * a.stride;
  In* dx = static_cast<In*>(a.dx) + position * a.stride;
  const In* x = from;
  if (STAGED) {
    In* stage = reinterpret_cast<In*>(shared + reinterpret_cast<uintptr_t>(from) % 16);  // the row's own alignment
    for_packs(from, n, [&](int i, int count, const In* e) {
      if (count == kPack) *reinterpret_cast<uint4*>(stage + i) = *reinterpret_cast<const uint4*>(e);
      else stage[i] = e[0];
    });
    __syncthreads();
    x = stage;
  }
  const T gain = a.gain != nullptr ? *static_cast<const T*>(a.gain) : T(1), inverse_n = T(1) / static_cast<T>(n);
  T r = 1;
  if (s.norm_eps >= 0) {
    T squares = 0;
    for_packs(x, n, [&](int, int count, const In* e) {
#pragma unroll
      for (int j = 0; j < kPack; ++j)
        if (j < count) squares += wide(e[j]) * wide(e[j]);
    });
    r = 1 / sqrt(block_all(squares, Plus()) * inverse_n + s.norm_eps);
  }
  const T to_a = gain * r;
  // Largest and mass in one walk: the mass so far is rescaled when a larger logit comes.
  T highest = -INFINITY, base = -INFINITY, mass = 0, sum = 0;
  for_packs(x, n, [&](int, int count, const In* e) {
    T l[kPack], most = highest;
#pragma unroll
    for (int j = 0; j < kPack; ++j) {
      l[j] = j < count ? capped(wide(e[j]) * to_a, s) : -INFINITY;
      most = largest_of(most, l[j]);
      if (j < count) sum += l[j];
    }
    const T next = base_of(most);
    if (most > highest) mass *= power_between(base, next);
    highest = most, base = next;
#pragma unroll
    for (int j = 0; j < kPack; ++j) mass += power(l[j], base);
  });
  const T common = block_all(base, Largest());
  mass = block_all(base == -INFINITY ? T(0) : mass * power_between(base, common), Plus());
  const RowNumbers<T> numbers = row_numbers(common, mass, s);
  const T mean = s.smoothing > 0 ? block_all(sum, Plus()) * inverse_n : T(0);
  if (threadIdx.x == 0) a.row_loss[row] = known ? static_cast<double>(row_loss(numbers, capped(wide(x[target]) * to_a, s), mean, s)) : NAN;
  if (a.dx == nullptr) return;
  const auto gradient = [&](In e, int i) { return logit_gradient(capped(wide(e) * to_a, s), i == target, numbers, s); };
  T back = 0;
  if (s.norm_eps >= 0 || a.gain != nullptr) {
    T along = 0;
    for_packs(x, n, [&](int i, int count, const In* e) {
#pragma unroll
      for (int j = 0; j < kPack; ++j)
        if (j < count) along += gradient(e[j], i + j) * wide(e[j]);
    });
    along = block_all(along, Plus());
    if (threadIdx.x == 0) a.row_dgain[row] = static_cast<double>(along * r);
    if (s.norm_eps >= 0) back = gain * r * r * r * inverse_n * along;
  }
  __syncthreads();  // the target's logit is read above; dx may be x
  for_packs(x, n, [&](int i, int count, const In* e) {
    union {
      uint4 bits;
      In d[kPack];
    } out;
#pragma unroll
    for (int j = 0; j < kPack; ++j)
      if (j < count) out.d[j] = narrow<In, T>(gradient(e[j], i + j) * to_a - wide(e[j]) * back);
    // dx has x's alignment: both buffers begin on 16 bytes.
    if (count == kPack) *reinterpret_cast<uint4*>(dx + i) = out.bits;
    else dx[i] = out.d[0];
  });
}

}  // namespace assay::ops::loss_rows
