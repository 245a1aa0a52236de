// Two forms of one row: up to 2048 wide it lives in the registers of a warp; wider, a block walks it in shared memory, or in device memory
// where it does not fit. x is read once from device memory (more often only where it does not fit) and dx written once.
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
template <class In, int PER, int W, bool FULL>
__global__ void __launch_bounds__(kWarp* kWarpsPerBlock) warp_rows(LossHeadArguments a) {
  using T = typename Inside<In>::type;
  const int lane = threadIdx.x % kWarp, vocab = static_cast<int>(a.vocab);
  const int64_t row = int64_t{blockIdx.x} * kWarpsPerBlock + threadIdx.x / kWarp, rows = a.batch * (a.last - a.first);
  if (row >= rows) return;
  const LossRowSettings<T> s = settings_of<T>(a);
  const int64_t position = position_of(a, row);
  const bool known = a.targets[position] >= 0 && a.targets[position] < a.vocab;
  const int target = known ? static_cast<int>(a.targets[position]) : -1;
  const In* x = static_cast<const In*>(a.x) + position * a.stride;
  const T gain = a.gain != nullptr ? *static_cast<const T*>(a.gain) : T(1), inverse_n = T(1) / static_cast<T>(vocab);
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
  if (s.norm_eps >= 0) {
    T squares = 0;
#pragma unroll
    for (int j = 0; j < PER; ++j) squares += v[j] * v[j];
    r = 1 / sqrt(warp_all(squares, Plus()) * inverse_n + s.norm_eps);
  }
  const T to_a = r * gain;
  T highest = -INFINITY, sum = 0, hit = 0;
#pragma unroll
  for (int j = 0; j < PER; ++j) {
    l[j] = inside(j) ? capped(v[j] * to_a, s) : -INFINITY;
    highest = largest_of(highest, l[j]);
    if (column(j) == target) hit = l[j];
  }
  highest = warp_all(highest, Largest());
  const T scaled_highest = scaled(highest);
  T mass = 0;
#pragma unroll
  for (int j = 0; j < PER; ++j) mass += exponential(l[j], scaled_highest);
  const RowNumbers<T> n = row_numbers(highest, warp_all(mass, Plus()), s);
  hit = warp_all(hit, Plus());  // one lane holds it
  T mean = 0;
  if (s.smoothing > 0) {
#pragma unroll
    for (int j = 0; j < PER; ++j) sum += inside(j) ? l[j] : T(0);
    mean = warp_all(sum, Plus()) * inverse_n;
  }
  // A target outside the vocabulary makes the loss NaN: the device cannot throw.
  if (lane == 0) a.row_loss[row] = known ? static_cast<double>(row_loss(n, hit, mean, s)) : NAN;
  if (a.dx == nullptr) return;
  T along = 0;
#pragma unroll
  for (int j = 0; j < PER; ++j) {
    l[j] = inside(j) ? logit_gradient(l[j], column(j) == target, n, s) : T(0);
    along += l[j] * v[j];
  }
  T back = 0;
  if (s.norm_eps >= 0 || a.gain != nullptr) {
    along = warp_all(along, Plus());
    if (lane == 0) a.row_dgain[row] = static_cast<double>(along * r);
    if (s.norm_eps >= 0) back = gain * r * r * r * inverse_n * along;
  }
  In* dx = static_cast<In*>(a.dx) + position * a.stride;
#pragma unroll
  for (int j = 0; j < PER; j += W) {
    if (!inside(j)) continue;
    Pack p;
#pragma unroll
    for (int e = 0; e < W; ++e) p.e[e] = narrow<In, T>(l[j + e] * to_a - v[j + e] * back);
    *reinterpret_cast<Pack*>(dx + column(j)) = p;
  }
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

// Sums of the rows in a fixed order.
template <class T>
__global__ void __launch_bounds__(kBlock) finish(LossHeadArguments a, int64_t rows) {
  double loss = 0, dgain = 0;
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

template <class In, int PER, int W>
void launch_warps(const LossHeadArguments& a, int64_t rows) {
  const auto blocks = static_cast<unsigned>((rows + kWarpsPerBlock - 1) / kWarpsPerBlock);
  if (a.vocab == PER * kWarp) warp_rows<In, PER, W, true><<<blocks, kWarp * kWarpsPerBlock, 0, a.stream>>>(a);
  else warp_rows<In, PER, W, false><<<blocks, kWarp * kWarpsPerBlock, 0, a.stream>>>(a);
}

template <class In, int W>
bool warps_by_width(const LossHeadArguments& a, int64_t rows) {
  if (a.vocab <= 256) launch_warps<In, 8, W>(a, rows);
  else if (a.vocab <= 1024) launch_warps<In, 32, W>(a, rows);
  else if (a.vocab <= 2048) launch_warps<In, 64, W>(a, rows);
  else return false;
  return true;
}

template <class In>
cudaError_t launch(const LossHeadArguments& a) {
  using T = typename Inside<In>::type;
  const int64_t rows = a.batch * (a.last - a.first);
  constexpr int kWide = 16 / sizeof(In);
  const bool aligned = reinterpret_cast<uintptr_t>(a.x) % 16 == 0 && (a.dx == nullptr || reinterpret_cast<uintptr_t>(a.dx) % 16 == 0);
  // float64 serves comparisons, not speed: one form is enough.
  bool done = false;
  if constexpr (sizeof(In) < sizeof(double))
    done = aligned && a.vocab % kWide == 0 && a.stride % kWide == 0 ? warps_by_width<In, kWide>(a, rows) : warps_by_width<In, 1>(a, rows);
  if (!done) {
    if (!aligned) return cudaErrorMisalignedAddress;
    const size_t bytes = static_cast<size_t>(a.vocab) * sizeof(In) + 16;
    int device = 0, most = 0;
    cudaGetDevice(&device);
    cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
    if (bytes + 1024 <= static_cast<size_t>(most)) {
      if (const cudaError_t e =
              cudaFuncSetAttribute(block_rows<In, true>, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)))
        return e;
      block_rows<In, true><<<static_cast<unsigned>(rows), kBlock, bytes, a.stream>>>(a);
    } else {
      block_rows<In, false><<<static_cast<unsigned>(rows), kBlock, 0, a.stream>>>(a);
    }
  }
  finish<T><<<1, kBlock, 0, a.stream>>>(a, rows);
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
