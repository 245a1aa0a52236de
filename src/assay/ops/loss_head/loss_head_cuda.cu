// Three forms of one row: up to 1024 wide it lives in the registers of a warp; wider, a block walks it in shared memory while the next row is on its
// way; where two rows do not fit, in shared memory alone or in device memory. x is read once from device memory (more often only where it does
// not fit) and dx written once. PLAIN: no norm, gain or softcap, so that the logits are x itself.
#include <cuda_bf16.h>

#include "assay/ops/loss_head/loss_head_cuda.h"
#include "assay/ops/loss_head/loss_row.h"

namespace assay::ops {
namespace {

constexpr int kWarp = 32, kWarpsPerBlock = 4, kBlock = 1024;

template <class In>
struct Inside {
  using type = float;
};
template <>
struct Inside<double> {
  using type = double;
};

__device__ float wide(float x) { return x; }
__device__ double wide(double x) { return x; }
__device__ float wide(__nv_bfloat16 x) { return __bfloat162float(x); }
template <class In, class T>
__device__ In narrow(T x) {
  return static_cast<In>(x);
}
template <>
__device__ __nv_bfloat16 narrow<__nv_bfloat16, float>(float x) {
  return __float2bfloat16_rn(x);
}

__device__ float largest_of(float a, float b) { return fmaxf(a, b); }
__device__ double largest_of(double a, double b) { return fmax(a, b); }  // a NaN reaches the loss through the sum of exponentials

// exp(l - highest) as one fused multiply-add and the hardware's base-2 exponential; `highest` comes in scaled by log2(e).
__device__ float exponential(float l, float scaled_highest) { return exp2f(fmaf(l, 1.4426950408889634f, -scaled_highest)); }
__device__ double exponential(double l, double scaled_highest) { return exp2(fma(l, 1.4426950408889634, -scaled_highest)); }
template <class T>
__device__ T scaled(T highest) {
  return highest * T(1.4426950408889634);
}

struct Plus {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
struct Largest {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return largest_of(a, b);
  }
};

template <class T, class Op>
__device__ T warp_all(T x, Op op) {
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) x = op(x, __shfl_xor_sync(0xffffffffu, x, step));
  return x;
}

// Over the block, to every thread, in a fixed order.
template <class T, class Op>
__device__ T block_all(T x, Op op) {
  __shared__ T partial[kWarp];
  x = warp_all(x, op);
  __syncthreads();  // `partial` may still be read for the reduction before
  if (threadIdx.x % kWarp == 0) partial[threadIdx.x / kWarp] = x;
  __syncthreads();
  T total = partial[0];
  for (unsigned w = 1; w < blockDim.x / kWarp; ++w) total = op(total, partial[w]);
  return total;
}

template <class T>
__device__ T capped(T a, const LossRowSettings<T>& s) {
  return s.softcap > 0 ? s.softcap * tanh(a * s.inverse_softcap) : a;
}

// What all threads of a row know after its reductions.
template <class T>
struct RowNumbers {
  T scaled_highest, share, even, hit, lse;
};

template <class T>
__device__ RowNumbers<T> row_numbers(T highest, T mass, const LossRowSettings<T>& s) {
  RowNumbers<T> r;
  r.scaled_highest = scaled(highest);
  r.lse = highest + log(mass);
  r.share = s.weight * (1 + 2 * s.z_loss * r.lse) / mass;
  r.even = s.weight * s.smoothing / static_cast<T>(s.vocab);
  r.hit = s.weight * (1 - s.smoothing);
  return r;
}

template <class T>
__device__ T row_loss(const RowNumbers<T>& r, T hit, T mean, const LossRowSettings<T>& s) {
  return (1 - s.smoothing) * (r.lse - hit) + s.smoothing * (r.lse - mean) + s.z_loss * r.lse * r.lse;
}

// d(weight * loss)/da of one logit l.
template <class T>
__device__ T logit_gradient(T l, bool is_target, const RowNumbers<T>& r, const LossRowSettings<T>& s) {
  T d = exponential(l, r.scaled_highest) * r.share - r.even;
  if (is_target) d -= r.hit;
  if (s.softcap > 0) {
    const T t = l * s.inverse_softcap;
    d *= 1 - t * t;
  }
  return d;
}

template <class T>
__device__ LossRowSettings<T> settings_of(const LossHeadArguments& a) {
  const T rows = static_cast<T>(a.batch * (a.last - a.first));
  LossRowSettings<T> s;
  s.vocab = a.vocab;
  s.norm_eps = static_cast<T>(a.norm_eps);
  s.softcap = static_cast<T>(a.softcap);
  s.inverse_softcap = static_cast<T>(a.softcap > 0 ? 1 / a.softcap : 0);
  s.z_loss = static_cast<T>(a.z_loss);
  s.smoothing = static_cast<T>(a.smoothing);
  s.weight = 1 / rows;
  return s;
}

__device__ int64_t position_of(const LossHeadArguments& a, int64_t row) {
  const int64_t each = a.last - a.first;
  return row / each * a.length + a.first + row % each;
}

// A row a warp: element j of lane k is column (j / W * 32 + k) * W + j % W, so that loads are W elements wide. FULL: the row fills all of them.
template <class In, int PER, int W, bool FULL, bool PLAIN>
__global__ void __launch_bounds__(kWarp* kWarpsPerBlock) warp_rows(LossHeadArguments a) {
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
  const T scaled_highest = scaled(highest);
  T mass = 0;
#pragma unroll
  for (int j = 0; j < PER; ++j) {
    const T e = exponential(l[j], scaled_highest);
    mass += e;
    if (PLAIN) l[j] = e;  // all that the gradient wants of l
  }
  const RowNumbers<T> n = row_numbers(highest, warp_all(mass, Plus()), s);
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
  T highest = -INFINITY, mass = 0, sum = 0;
  for_packs(x, n, [&](int, int count, const In* e) {
    T l[kPack], most = highest;
#pragma unroll
    for (int j = 0; j < kPack; ++j) {
      l[j] = j < count ? capped(wide(e[j]) * to_a, s) : -INFINITY;
      most = largest_of(most, l[j]);
      if (j < count) sum += l[j];
    }
    const T base = scaled(most);
    if (most > highest) mass *= exponential(highest, base);
    highest = most;
#pragma unroll
    for (int j = 0; j < kPack; ++j) mass += exponential(l[j], base);
  });
  const T most = block_all(highest, Largest());
  mass = block_all(highest == -INFINITY ? T(0) : mass * exponential(highest, scaled(most)), Plus());
  const RowNumbers<T> numbers = row_numbers(most, mass, s);
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

// 16 bytes from device to shared memory, of which `bytes` are read and the rest becomes zero; arrives some time before wait_for_copies lets go.
__device__ void copy_async(uint4* to, const void* from, int bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(static_cast<unsigned>(__cvta_generic_to_shared(to))), "l"(from),
               "r"(bytes)
               : "memory");
}
__device__ void end_of_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Until all but the last group of this thread's copies are there.
__device__ void wait_for_copies() { asm volatile("cp.async.wait_group 1;" ::: "memory"); }

// Largest logit and mass exp(l - largest) of parts of a row.
template <class T>
struct Peak {
  T highest, mass;
};
template <class T>
__device__ T mass_below(const Peak<T>& p, T scaled_highest) {
  return p.highest == -INFINITY ? T(0) : p.mass * exponential(p.highest, scaled_highest);
}
template <class T>
__device__ Peak<T> warp_peak(Peak<T> p) {
  const T highest = warp_all(p.highest, Largest());
  return {highest, warp_all(mass_below(p, scaled(highest)), Plus())};
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

// Rows follow each other through shared memory, two at a time: one is worked on while the next arrives. A thread reads only what it copied itself.
// A row is covered by the 16-byte packs that it touches: pack i holds columns i * kPack - head and up, and the first and the last may hold some of the
// neighbouring rows, which are neither used nor written.
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
  const auto head_of = [&](const In* x) { return static_cast<int>(reinterpret_cast<uintptr_t>(x) % 16 / sizeof(In)); };
  const auto fetch = [&](int64_t row, uint4* to) {
    const In* x = start_of(row);
    const int head = head_of(x), end = head + n;
    for (int i = threadIdx.x; i * kPack < end; i += THREADS) {
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
    for_mine([&](const Pack& p, int first, bool whole) {
      T l[kPack], most = peak.highest;
#pragma unroll
      for (int e = 0; e < kPack; ++e) {
        l[e] = logit(p.e[e]);
        if (!whole && !inside(first + e)) l[e] = -INFINITY;
        most = largest_of(most, l[e]);
      }
      const T base = scaled(most);
      if (most > peak.highest) peak.mass *= exponential(peak.highest, base);
      peak.highest = most;
#pragma unroll
      for (int e = 0; e < kPack; ++e) peak.mass += exponential(l[e], base);
    });
    peak = block_peak<THREADS>(peak, peaks[turn]);
    const RowNumbers<T> numbers = row_numbers(peak.highest, peak.mass, s);
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
        if (PLAIN) out.e[e] = narrow<In, T>(exponential(wide(p.e[e]), numbers.scaled_highest) * numbers.share - numbers.even);
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

// Sums of the rows in a fixed order.
template <class T>
__global__ void __launch_bounds__(kBlock) finish(LossHeadArguments a, int64_t rows) {
  double loss = 0, dgain = 0;
#pragma unroll 8
  for (int64_t i = threadIdx.x; i < rows; i += kBlock) {
    loss += a.row_loss[i];
    if (a.dgain != nullptr) dgain += a.row_dgain[i];
  }
  loss = block_all(loss, Plus());
  dgain = block_all(dgain, Plus());
  if (threadIdx.x != 0) return;
  *static_cast<T*>(a.loss) = static_cast<T>(loss / static_cast<double>(rows));
  if (a.dgain != nullptr) *static_cast<T*>(a.dgain) = static_cast<T>(dgain);
}

bool is_plain(const LossHeadArguments& a) { return a.norm_eps < 0 && a.gain == nullptr && !(a.softcap > 0); }

template <class In, int PER, int W, bool PLAIN>
void launch_warps(const LossHeadArguments& a, int64_t rows) {
  const auto blocks = static_cast<unsigned>((rows + kWarpsPerBlock - 1) / kWarpsPerBlock);
  if (W > 1 && a.vocab == PER * kWarp) warp_rows<In, PER, W, W != 1, PLAIN><<<blocks, kWarp * kWarpsPerBlock, 0, a.stream>>>(a);
  else warp_rows<In, PER, W, false, PLAIN><<<blocks, kWarp * kWarpsPerBlock, 0, a.stream>>>(a);
}

template <class In, int W, bool PLAIN>
bool warps_by_width(const LossHeadArguments& a, int64_t rows) {
  if (a.vocab <= 256) launch_warps<In, 8, W, PLAIN>(a, rows);
  else if (a.vocab <= 1024) launch_warps<In, 32, W, PLAIN>(a, rows);
  else return false;
  return true;
}

template <class In, bool PLAIN>
bool launch_rows_of_warps(const LossHeadArguments& a, int64_t rows, bool aligned) {
  constexpr int kWide = 16 / sizeof(In);
  return aligned && a.vocab % kWide == 0 && a.stride % kWide == 0 ? warps_by_width<In, kWide, PLAIN>(a, rows)
                                                                  : warps_by_width<In, 1, PLAIN>(a, rows);
}

int of_device(cudaDeviceAttr what) {
  int device = 0, value = 0;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&value, what, device);
  return value;
}

// As many blocks as the device holds at once, each with two rows in its shared memory; false where two do not fit.
template <class In, bool PLAIN, int THREADS>
bool launch_streamed(const LossHeadArguments& a, int64_t rows, cudaError_t& error) {
  constexpr int kPack = 16 / sizeof(In);
  const int64_t capacity = (a.vocab + 2 * kPack - 2) / kPack, bytes = 2 * capacity * 16;  // a row may begin anywhere in its first pack
  if (bytes + 2048 > of_device(cudaDevAttrMaxSharedMemoryPerBlockOptin)) return false;
  const auto kernel = streamed_rows<In, PLAIN, THREADS>;
  error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
  if (error != cudaSuccess) return true;
  int resident = 0;
  error = cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, kernel, THREADS, static_cast<size_t>(bytes));
  if (error != cudaSuccess || resident < 1) return error != cudaSuccess;
  const int64_t most = int64_t{resident} * of_device(cudaDevAttrMultiProcessorCount);
  kernel<<<static_cast<unsigned>(rows < most ? rows : most), THREADS, static_cast<size_t>(bytes), a.stream>>>(a,
                                                                                                              static_cast<int>(capacity));
  return true;
}

template <class In, bool PLAIN>
bool launch_streamed_rows(const LossHeadArguments& a, int64_t rows, cudaError_t& error) {
  const bool few = a.vocab * static_cast<int64_t>(sizeof(In)) <= 32768;  // packs for 256 threads
  // Wide rows that begin within a cache line go through more lines than they have: measured slower than one row a block.
  if (!few && a.stride * static_cast<int64_t>(sizeof(In)) % 128 != 0) return false;
  return few ? launch_streamed<In, PLAIN, 256>(a, rows, error) : launch_streamed<In, PLAIN, kBlock>(a, rows, error);
}

// A row a block: staged in shared memory where it fits.
template <class In>
cudaError_t launch_rows_of_blocks(const LossHeadArguments& a, int64_t rows) {
  const size_t bytes = static_cast<size_t>(a.vocab) * sizeof(In) + 16;
  if (bytes + 1024 > static_cast<size_t>(of_device(cudaDevAttrMaxSharedMemoryPerBlockOptin))) {
    block_rows<In, false><<<static_cast<unsigned>(rows), kBlock, 0, a.stream>>>(a);
    return cudaSuccess;
  }
  if (const cudaError_t e =
          cudaFuncSetAttribute(block_rows<In, true>, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)))
    return e;
  block_rows<In, true><<<static_cast<unsigned>(rows), kBlock, bytes, a.stream>>>(a);
  return cudaSuccess;
}

template <class In>
cudaError_t launch(const LossHeadArguments& a) {
  const int64_t rows = a.batch * (a.last - a.first);
  const bool aligned = reinterpret_cast<uintptr_t>(a.x) % 16 == 0 && (a.dx == nullptr || reinterpret_cast<uintptr_t>(a.dx) % 16 == 0);
  bool done = false;
  cudaError_t error = cudaSuccess;
  // float64 serves comparisons, not speed: one form is enough.
  if constexpr (sizeof(In) < sizeof(double)) {
    done = is_plain(a) ? launch_rows_of_warps<In, true>(a, rows, aligned) : launch_rows_of_warps<In, false>(a, rows, aligned);
    if (!done && aligned)
      done = is_plain(a) ? launch_streamed_rows<In, true>(a, rows, error) : launch_streamed_rows<In, false>(a, rows, error);
  }
  if (!done) error = aligned ? launch_rows_of_blocks<In>(a, rows) : cudaErrorMisalignedAddress;
  if (error != cudaSuccess) return error;
  finish<typename Inside<In>::type><<<1, kBlock, 0, a.stream>>>(a, rows);
  return cudaGetLastError();
}

}  // namespace

cudaError_t loss_head(const LossHeadArguments& a, LossType type) {
  switch (type) {
    case LossType::f64: return launch<double>(a);
    case LossType::bf16: return launch<__nv_bfloat16>(a);
    case LossType::f32: break;
  }
  return launch<float>(a);
}

}  // namespace assay::ops
