// Two forms of one row: up to 2048 wide it lives in the registers of a warp; wider, a block walks it in shared memory, or in device memory
// where it does not fit. Either way x is read once from device memory (twice and more where it does not fit) and dx written once.
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

template <class T>
__device__ T largest_of(T a, T b) {
  return a > b || isnan(a) ? a : b;
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
  return s.softcap > 0 ? s.softcap * tanh(a / s.softcap) : a;
}

// What all threads of a row know after its reductions.
template <class T>
struct RowNumbers {
  T highest, share, even, lse;
};

template <class T>
__device__ RowNumbers<T> row_numbers(T highest, T mass, const LossRowSettings<T>& s) {
  RowNumbers<T> r;
  r.highest = highest;
  r.lse = highest + log(mass);
  r.share = s.weight * (1 + 2 * s.z_loss * r.lse) / mass;
  r.even = s.weight * s.smoothing / static_cast<T>(s.vocab);
  return r;
}

template <class T>
__device__ T row_loss(const RowNumbers<T>& r, T hit, T mean, const LossRowSettings<T>& s) {
  return (1 - s.smoothing) * (r.lse - hit) + s.smoothing * (r.lse - mean) + s.z_loss * r.lse * r.lse;
}

// d(weight * loss)/da of one logit l.
template <class T>
__device__ T logit_gradient(T l, bool is_target, const RowNumbers<T>& r, const LossRowSettings<T>& s) {
  T d = exp(l - r.highest) * r.share - r.even - (is_target ? s.weight * (1 - s.smoothing) : T(0));
  if (s.softcap > 0) {
    const T t = l / s.softcap;
    d *= 1 - t * t;
  }
  return d;
}

template <class T>
__device__ LossRowSettings<T> settings_of(const LossHeadArguments& a) {
  const T rows = static_cast<T>(a.batch * (a.last - a.first));
  return {a.vocab,    static_cast<T>(a.norm_eps), static_cast<T>(a.softcap), static_cast<T>(a.z_loss), static_cast<T>(a.smoothing),
          T(1) / rows};
}

__device__ int64_t position_of(const LossHeadArguments& a, int64_t row) {
  const int64_t each = a.last - a.first;
  return row / each * a.length + a.first + row % each;
}

// A row a warp: element j of lane k is column (j / W * 32 + k) * W + j % W, so that loads are W elements wide.
template <class In, int PER, int W>
__global__ void __launch_bounds__(kWarp* kWarpsPerBlock) warp_rows(LossHeadArguments a) {
  using T = typename Inside<In>::type;
  const int lane = threadIdx.x % kWarp;
  const int64_t row = int64_t{blockIdx.x} * kWarpsPerBlock + threadIdx.x / kWarp, rows = a.batch * (a.last - a.first);
  if (row >= rows) return;
  const LossRowSettings<T> s = settings_of<T>(a);
  const int64_t position = position_of(a, row), target = a.targets[position];
  const In* x = static_cast<const In*>(a.x) + position * a.vocab;
  const T gain = a.gain != nullptr ? *static_cast<const T*>(a.gain) : T(1);
  struct alignas(sizeof(In) * W) Pack {
    In e[W];
  };
  const auto column = [&](int j) { return (static_cast<int64_t>(j / W) * kWarp + lane) * W + j % W; };
  T v[PER], l[PER];
#pragma unroll
  for (int j = 0; j < PER; j += W) {
    if (column(j) + W <= a.vocab) {
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
    r = 1 / sqrt(warp_all(squares, Plus()) / static_cast<T>(s.vocab) + s.norm_eps);
  }
  T highest = -INFINITY, sum = 0, hit = 0;
#pragma unroll
  for (int j = 0; j < PER; ++j) {
    l[j] = capped(v[j] * r * gain, s);
    if (column(j) < a.vocab) {
      highest = largest_of(highest, l[j]);
      sum += l[j];
      if (column(j) == target) hit = l[j];
    }
  }
  highest = warp_all(highest, Largest());
  T mass = 0;
#pragma unroll
  for (int j = 0; j < PER; ++j)
    if (column(j) < a.vocab) mass += exp(l[j] - highest);
  const RowNumbers<T> n = row_numbers(highest, warp_all(mass, Plus()), s);
  hit = warp_all(hit, Plus());  // one lane holds it
  const T mean = warp_all(sum, Plus()) / static_cast<T>(s.vocab);
  // A target outside the vocabulary makes the loss NaN: the device cannot throw.
  if (lane == 0) a.row_loss[row] = target >= 0 && target < a.vocab ? static_cast<double>(row_loss(n, hit, mean, s)) : NAN;
  if (a.dx == nullptr) return;
  T along = 0;
#pragma unroll
  for (int j = 0; j < PER; ++j) {
    l[j] = column(j) < a.vocab ? logit_gradient(l[j], column(j) == target, n, s) : T(0);
    along += l[j] * v[j];
  }
  along = warp_all(along, Plus());
  if (lane == 0) a.row_dgain[row] = static_cast<double>(along * r);
  const T back = s.norm_eps >= 0 ? gain * r * r * r / static_cast<T>(s.vocab) * along : T(0);
  In* dx = static_cast<In*>(a.dx) + position * a.vocab;
#pragma unroll
  for (int j = 0; j < PER; j += W) {
    if (column(j) + W > a.vocab) continue;
    Pack p;
#pragma unroll
    for (int e = 0; e < W; ++e) p.e[e] = narrow<In, T>(l[j + e] * (gain * r) - v[j + e] * back);
    *reinterpret_cast<Pack*>(dx + column(j)) = p;
  }
}

// A row a block. Rows of an odd width begin anywhere, so the copy goes by 16 bytes from the first aligned address on.
template <class In>
__device__ void copy_row(In* to, const In* from, int64_t n) {
  constexpr int kPack = 16 / sizeof(In);
  const int64_t head = static_cast<int64_t>((16 - reinterpret_cast<uintptr_t>(from) % 16) % 16 / sizeof(In));
  for (int64_t i = threadIdx.x; i < (head < n ? head : n); i += blockDim.x) to[i] = from[i];
  const int64_t packs = n > head ? (n - head) / kPack : 0;
  for (int64_t i = threadIdx.x; i < packs; i += blockDim.x)
    reinterpret_cast<uint4*>(to + head)[i] = reinterpret_cast<const uint4*>(from + head)[i];
  for (int64_t i = head + packs * kPack + threadIdx.x; i < n; i += blockDim.x) to[i] = from[i];
}

template <class In, bool STAGED>
__global__ void __launch_bounds__(kBlock) block_rows(LossHeadArguments a) {
  using T = typename Inside<In>::type;
  extern __shared__ __align__(16) unsigned char shared[];
  const LossRowSettings<T> s = settings_of<T>(a);
  const int64_t row = blockIdx.x, position = position_of(a, row), target = a.targets[position], n = a.vocab;
  const In* from = static_cast<const In*>(a.x) + position * n;
  In* stage = reinterpret_cast<In*>(shared + reinterpret_cast<uintptr_t>(from) % 16);
  const In* x = from;
  if (STAGED) {
    copy_row(stage, from, n);
    __syncthreads();
    x = stage;
  }
  const T gain = a.gain != nullptr ? *static_cast<const T*>(a.gain) : T(1);
  T r = 1;
  if (s.norm_eps >= 0) {
    T squares = 0;
    for (int64_t i = threadIdx.x; i < n; i += kBlock) squares += wide(x[i]) * wide(x[i]);
    r = 1 / sqrt(block_all(squares, Plus()) / static_cast<T>(n) + s.norm_eps);
  }
  const T to_a = gain * r;
  // Largest and mass in one walk: the mass so far is rescaled when a larger logit comes.
  T highest = -INFINITY, mass = 0, sum = 0;
  for (int64_t i = threadIdx.x; i < n; i += kBlock) {
    const T l = capped(wide(x[i]) * to_a, s);
    sum += l;
    if (l > highest || isnan(l)) {
      mass *= exp(highest - l);
      highest = l;
    }
    mass += exp(l - highest);
  }
  const T most = block_all(highest, Largest());
  mass = block_all(highest == -INFINITY ? T(0) : mass * exp(highest - most), Plus());
  const RowNumbers<T> numbers = row_numbers(most, mass, s);
  const T mean = s.smoothing > 0 ? block_all(sum, Plus()) / static_cast<T>(n) : T(0);
  const bool known = target >= 0 && target < n;
  if (threadIdx.x == 0) a.row_loss[row] = known ? static_cast<double>(row_loss(numbers, capped(wide(x[target]) * to_a, s), mean, s)) : NAN;
  if (a.dx == nullptr) return;
  const auto gradient = [&](int64_t i) { return logit_gradient(capped(wide(x[i]) * to_a, s), i == target, numbers, s); };
  T back = 0;
  if (s.norm_eps >= 0 || a.gain != nullptr) {
    T along = 0;
    for (int64_t i = threadIdx.x; i < n; i += kBlock) along += gradient(i) * wide(x[i]);
    along = block_all(along, Plus());
    if (threadIdx.x == 0) a.row_dgain[row] = static_cast<double>(along * r);
    if (s.norm_eps >= 0) back = gain * r * r * r / static_cast<T>(n) * along;
  }
  In* dx = static_cast<In*>(a.dx) + position * n;
  __syncthreads();  // the target's logit is read above; dx may be x
  if (STAGED) {     // in place in shared memory, then out by 16 bytes
    for (int64_t i = threadIdx.x; i < n; i += kBlock) stage[i] = narrow<In, T>(gradient(i) * to_a - wide(x[i]) * back);
    __syncthreads();
    copy_row(dx, static_cast<const In*>(stage), n);
  } else {
    for (int64_t i = threadIdx.x; i < n; i += kBlock) dx[i] = narrow<In, T>(gradient(i) * to_a - wide(x[i]) * back);
  }
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
  warp_rows<In, PER, W><<<blocks, kWarp * kWarpsPerBlock, 0, a.stream>>>(a);
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
  const bool done = aligned && a.vocab % kWide == 0 ? warps_by_width<In, kWide>(a, rows) : warps_by_width<In, 1>(a, rows);
  if (!done) {
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
