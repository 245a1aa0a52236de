#pragma once
// A row a block of several, two in shared memory at a time.
#include "assay/ops/loss_head/block_rows.cuh"

namespace assay::ops::loss_rows {

// 16 bytes from device to shared memory, of which `bytes` are read and the rest becomes zero; arrives some time before wait_for_copies lets go.
__device__ inline void copy_async(uint4* to, const void* from, int bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(static_cast<unsigned>(__cvta_generic_to_shared(to))), "l"(from),
               "r"(bytes)
               : "memory");
}
__device__ inline void end_of_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Until all but the last group of this thread's copies are there.
__device__ inline void wait_for_copies() { asm volatile("cp.async.wait_group 1;" ::: "memory"); }

// Of parts of a row: the base of the largest logit and the sum of the powers from it.
template <class T>
struct Peak {
  T base, mass;
};
template <class T>
__device__ Peak<T> warp_peak(Peak<T> p) {
  const T base = warp_all(p.base, Largest());
  return {base, warp_all(p.base == -INFINITY ? T(0) : p.mass * power_between(p.base, base), Plus())};
}
// Over a block of THREADS; `shared` holds a Peak a warp and is not to be written again before the block's next barrier but one.
template <int THREADS, class T>
__device__ Peak<T> block_peak(Peak<T> p, Peak<T>* shared) {
  p = warp_peak(p);
  if (threadIdx.x % kWarp == 0) shared[threadIdx.x / kWarp] = p;
  __syncthreads();
  const int lane = threadIdx.x % kWarp;
  return warp_peak(lane < THREADS / kWarp ? shared[lane] : Peak<T>{-INFINITY, T(0)});
}

inline constexpr int kLine = 128;  // bytes of a cache line

// Rows follow each other through shared memory, two at a time: one is worked on while the next arrives. A thread reads only what it copied itself.
// A row is covered by 16-byte packs from the beginning of the cache line in which it begins, so that a warp's packs are whole lines wherever that is:
// pack i holds columns i * kPack - head and up. Packs before the row are left out; its first and last may hold some of the neighbouring rows, which are
// neither used nor written.
template <class In, bool PLAIN, int THREADS>
__global__ void __launch_bounds__(THREADS) streamed_rows(LossHeadArguments a, int capacity) {
  using T = typename Inside<In>::type;
  constexpr int kPack = 16 / sizeof(In);
  extern __shared__ uint4 stage[];  // 2 x capacity
  __shared__ Peak<T> peaks[2][kWarp];
  const LossRowSettings<T> s = settings_of<T>(a);
  const int n = static_cast<int>(a.vocab);
  const int64_t rows = a.batch * (a.last - a.first);
  const auto start_of = [&](int64_t row) { return static_cast<const In*>(a.x) + position_of(a, row) * a.stride; };
  const auto head_of = [&](const In* x) { return static_cast<int>(reinterpret_cast<uintptr_t>(x) % kLine / sizeof(In)); };
  const auto fetch = [&](int64_t row, uint4* to) {
    const In* x = start_of(row);
    const int head = head_of(x), end = head + n;
    for (int i = threadIdx.x; i * kPack < end; i += THREADS) {
      if ((i + 1) * kPack <= head) continue;
      const int left = (end - i * kPack) * static_cast<int>(sizeof(In));
      copy_async(to + i, x - head + i * kPack, left < 16 ? left : 16);
    }
  };
  union Pack {
    uint4 bits;
    In e[kPack];
    __device__ Pack() {}
  };
  if (blockIdx.x < rows) fetch(blockIdx.x, stage);
  end_of_copies();
  int turn = 0;
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x, turn ^= 1) {
    if (row + gridDim.x < rows) fetch(row + gridDim.x, stage + (turn ^ 1) * capacity);
    end_of_copies();
    wait_for_copies();
    const uint4* mine = stage + turn * capacity;
    const int64_t position = position_of(a, row);
    const In* x = start_of(row);
    const int head = head_of(x), end = head + n;
    const bool known = a.targets[position] >= 0 && a.targets[position] < a.vocab;
    const int hit = known ? static_cast<int>(a.targets[position]) : -kPack;  // no pack has this column
    const T gain = !PLAIN && a.gain != nullptr ? *static_cast<const T*>(a.gain) : T(1), inverse_n = T(1) / static_cast<T>(n);
    // f(pack, its first column, whether all of it belongs to the row)
    const auto for_mine = [&](auto&& f) {
      for (int i = threadIdx.x; i * kPack < end; i += THREADS) {
        if ((i + 1) * kPack <= head) continue;
        Pack p;
        p.bits = mine[i];
        f(p, i * kPack - head, i * kPack >= head && (i + 1) * kPack <= end);
      }
    };
    const auto inside = [&](int column) { return column >= 0 && column < n; };
    T r = 1;
    if (!PLAIN && s.norm_eps >= 0) {
      T squares = 0;
      for_mine([&](const Pack& p, int first, bool) {
#pragma unroll
        for (int e = 0; e < kPack; ++e)
          if (inside(first + e)) squares += wide(p.e[e]) * wide(p.e[e]);
      });
      r = 1 / sqrt(block_all(squares, Plus()) * inverse_n + s.norm_eps);
    }
    const T to_a = r * gain;
    const auto logit = [&](In e) { return PLAIN ? wide(e) : capped(wide(e) * to_a, s); };
    // Largest and mass in one walk: the mass so far is rescaled when a larger logit comes.
    Peak<T> peak{-INFINITY, T(0)};
    T highest = -INFINITY;
    for_mine([&](const Pack& p, int first, bool whole) {
      T l[kPack], most = highest;
#pragma unroll
      for (int e = 0; e < kPack; ++e) {
        l[e] = logit(p.e[e]);
        if (!whole && !inside(first + e)) l[e] = -INFINITY;
        most = largest_of(most, l[e]);
      }
      const T base = base_of(most);
      if (most > highest) peak.mass *= power_between(peak.base, base);
      highest = most, peak.base = base;
#pragma unroll
      for (int e = 0; e < kPack; ++e) peak.mass += power(l[e], base);
    });
    peak = block_peak<THREADS>(peak, peaks[turn]);
    const RowNumbers<T> numbers = row_numbers(peak.base, peak.mass, s);
    T mean = 0;
    if (s.smoothing > 0) {
      T sum = 0;
      for_mine([&](const Pack& p, int first, bool) {
#pragma unroll
        for (int e = 0; e < kPack; ++e)
          if (inside(first + e)) sum += logit(p.e[e]);
      });
      mean = block_all(sum, Plus()) * inverse_n;
    }
    // Behind all barriers of the row, whoever holds the target's logit knows the loss.
    const auto note_loss = [&](T l) { a.row_loss[row] = static_cast<double>(row_loss(numbers, l, mean, s)); };
    if (!known && threadIdx.x == 0) a.row_loss[row] = NAN;
    if (a.dx == nullptr) {
      if (known && threadIdx.x == 0) note_loss(logit(x[hit]));
      continue;
    }
    const auto gradient = [&](In e, int column) { return logit_gradient(logit(e), column == hit, numbers, s); };
    T back = 0;
    if (!PLAIN && (s.norm_eps >= 0 || a.gain != nullptr)) {
      T along = 0;
      for_mine([&](const Pack& p, int first, bool) {
#pragma unroll
        for (int e = 0; e < kPack; ++e)
          if (inside(first + e)) along += gradient(p.e[e], first + e) * wide(p.e[e]);
      });
      along = block_all(along, Plus());
      if (threadIdx.x == 0) a.row_dgain[row] = static_cast<double>(along * r);
      if (s.norm_eps >= 0) back = gain * r * r * r * inverse_n * along;
    }
    In* dx = static_cast<In*>(a.dx) + position * a.stride;  // of x's alignment: both buffers begin on 16 bytes
    for_mine([&](const Pack& p, int first, bool whole) {
      Pack out;
#pragma unroll
      for (int e = 0; e < kPack; ++e) {
        if (PLAIN) out.e[e] = narrow<In, T>(power(wide(p.e[e]), numbers.base) * numbers.share - numbers.even);
        else out.e[e] = narrow<In, T>(logit_gradient(logit(p.e[e]), false, numbers, s) * to_a - wide(p.e[e]) * back);
      }
      if (hit >= first && hit < first + kPack) {
#pragma unroll
        for (int e = 0; e < kPack; ++e) {
          if (first + e != hit) continue;
          note_loss(logit(p.e[e]));
          out.e[e] = narrow<In, T>(gradient(p.e[e], hit) * to_a - wide(p.e[e]) * back);
        }
      }
      if (whole) {
        *reinterpret_cast<uint4*>(dx + first) = out.bits;
      } else {
#pragma unroll
        for (int e = 0; e < kPack; ++e)
          if (inside(first + e)) dx[first + e] = out.e[e];
      }
    });
  }
}

}  // namespace assay::ops::loss_rows
