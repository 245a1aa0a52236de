#pragma once
// What kernels share that give a row to a few neighbouring warps, four numbers a lane. Few numbers a lane leave registers for many rows in flight,
// which is what a kernel that only moves bytes lives on; all of a row's operands are read before its first sum is waited for. No torch header.
#include <cuda_bf16.h>

#include <cstdint>
#include <type_traits>

#include "assay/ops/row_limits.h"

namespace assay::ops {

inline constexpr int kWarp = 32, kLanePart = 4;

// What numbers of a type are computed in.
template <class In>
struct Inside {
  using type = float;
};
template <>
struct Inside<double> {
  using type = double;
};

__device__ inline float wide(float x) { return x; }
__device__ inline double wide(double x) { return x; }
__device__ inline float wide(__nv_bfloat16 x) { return __bfloat162float(x); }
__device__ inline void assign(float& to, float x) { to = x; }
__device__ inline void assign(double& to, double x) { to = x; }
__device__ inline void assign(__nv_bfloat16& to, float x) { to = __float2bfloat16_rn(x); }

template <class T>
__device__ T warp_sum(T x) {
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) x += __shfl_xor_sync(0xffffffffu, x, step);
  return x;
}

// Rows of a block: WARPS warps hold one, as many rows as make about 256 threads.
template <int WARPS>
struct RowShape {
  static constexpr int kLanes = WARPS * kWarp, kRows = WARPS < 8 ? 8 / WARPS : 1, kThreads = kRows * kLanes;
};
// Blocks of a multiprocessor that a kernel's registers must allow; float64 serves comparisons.
template <class T, int WARPS>
constexpr int resident_blocks() {
  return sizeof(T) == sizeof(double) ? 1 : WARPS > 8 ? 2 : 4;
}

// A thread's place: lane of kLanes in row `group` of the block, and its four columns of n, W neighbours at a time.
// Element j is column (j / W * kLanes + lane) * W + j % W.
template <int WARPS, int W>
struct Lane {
  using Shape = RowShape<WARPS>;
  int lane, group, n;
  __device__ explicit Lane(int64_t width)
      : lane(static_cast<int>(threadIdx.x) % Shape::kLanes),
        group(static_cast<int>(threadIdx.x) / Shape::kLanes),
        n(static_cast<int>(width)) {}

  // Rows are walked: first, first + step, ... The lanes of a row go through the same ones.
  __device__ int64_t first_row() const { return int64_t{blockIdx.x} * Shape::kRows + group; }
  __device__ int64_t row_step() const { return int64_t{gridDim.x} * Shape::kRows; }
  // Where the walk ends if all rows of a block take the same number of turns, some without a row in the last. A kernel wants that where a barrier of
  // the whole block follows barriers of rows: compute-sanitizer's racecheck sees no barrier of the block where rows have passed their own a different
  // number of times.
  __device__ int64_t even_end(int64_t rows) const { return (rows + Shape::kRows - 1) / Shape::kRows * Shape::kRows; }
  __device__ bool has_row(int64_t row, int64_t rows) const { return Shape::kRows == 1 || row < rows; }
  __device__ int column(int j) const { return (j / W * Shape::kLanes + lane) * W + j % W; }
  __device__ bool inside(int j) const { return column(j) < n; }  // n is a multiple of W

  template <class S, class T>
  __device__ void load(const S* row, T (&to)[kLanePart]) const {
#pragma unroll
    for (int j = 0; j < kLanePart; j += W) {
      struct alignas(sizeof(S) * W) Pack {
        S e[W];
      } p;
      const bool there = inside(j);
      if (there) p = *reinterpret_cast<const Pack*>(row + column(j));
#pragma unroll
      for (int e = 0; e < W; ++e) to[j + e] = there ? wide(p.e[e]) : T(0);
    }
  }
  // Of an operand that may be absent: zeros.
  template <class S, class T>
  __device__ void load_if(const void* base, int64_t row, T (&to)[kLanePart]) const {
    if (base != nullptr) {
      load(static_cast<const S*>(base) + row * n, to);
    } else {
#pragma unroll
      for (int j = 0; j < kLanePart; ++j) to[j] = T(0);
    }
  }
  template <class S, class F>
  __device__ void store(S* row, const F& value) const {
#pragma unroll
    for (int j = 0; j < kLanePart; j += W) {
      if (!inside(j)) continue;
      struct alignas(sizeof(S) * W) Pack {
        S e[W];
      } p;
#pragma unroll
      for (int e = 0; e < W; ++e) assign(p.e[e], value(j + e));
      *reinterpret_cast<Pack*>(row + column(j)) = p;
    }
  }
};

// Sums over the lanes of a row, N at a time, to all of them and in a fixed order. Rows of one warp need no memory. Two sets of slots take turns, so
// that one barrier a call is enough: a warp writes a set again only after all others have read it, which they do before the barrier between.
template <class T, int WARPS, int N>
class RowSums {
 public:
  static constexpr int kSlots = WARPS == 1 ? 1 : 2 * RowShape<WARPS>::kRows * WARPS * N;
  __device__ explicit RowSums(T* shared) : shared_(shared) {}

  template <int W>
  __device__ void all(const Lane<WARPS, W>& at, T (&x)[N]) {
#pragma unroll
    for (int i = 0; i < N; ++i) x[i] = warp_sum(x[i]);
    if constexpr (WARPS > 1) {
      T* slots = shared_ + ((turn_ * RowShape<WARPS>::kRows + at.group) * WARPS) * N;
      turn_ ^= 1;
      if (at.lane % kWarp == 0) {
#pragma unroll
        for (int i = 0; i < N; ++i) slots[at.lane / kWarp * N + i] = x[i];
      }
      asm volatile("bar.sync %0, %1;" ::"r"(1 + at.group), "n"(RowShape<WARPS>::kLanes) : "memory");
#pragma unroll
      for (int i = 0; i < N; ++i) {
        T total = slots[i];
#pragma unroll
        for (int w = 1; w < WARPS; ++w) total += slots[w * N + i];
        x[i] = total;
      }
    }
  }

 private:
  T* shared_;
  int turn_ = 0;
};

// to[k n + column] = sum over the block's rows of sums[k], in their order; `shared` holds column_bytes of N and is free again afterwards. All threads
// call it.
template <class T, int WARPS, int W, int N>
__device__ void add_columns(const Lane<WARPS, W>& at, const T (&sums)[N][kLanePart], T* shared, T* to) {
  constexpr int kRows = RowShape<WARPS>::kRows;
#pragma unroll
  for (int k = 0; k < N; ++k)
#pragma unroll
    for (int j = 0; j < kLanePart; ++j)
      if (at.inside(j)) shared[(k * kRows + at.group) * at.n + at.column(j)] = sums[k][j];
  __syncthreads();
  // The same number of turns for all lanes of a warp, which so arrive at the barrier together.
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  for (int first = static_cast<int>(threadIdx.x) - lane; first < at.n; first += RowShape<WARPS>::kThreads) {
    const int i = first + lane;
    if (i < at.n) {
#pragma unroll
      for (int k = 0; k < N; ++k) {
        T total = shared[k * kRows * at.n + i];
        for (int g = 1; g < kRows; ++g) total += shared[(k * kRows + g) * at.n + i];
        to[k * at.n + i] = total;
      }
    }
  }
  __syncthreads();
}
template <class T, int WARPS>
constexpr size_t column_bytes(int64_t n, int sums = 1) {
  return static_cast<size_t>(n) * RowShape<WARPS>::kRows * static_cast<size_t>(sums) * sizeof(T);
}

// out[column] = sum over blocks of partial[block][column], in double, rows of `partial` `stride` apart, in an order that depends on `blocks` alone. 32
// columns a block, kSummers threads a column.
inline constexpr int kSummers = 16;
template <class T>
__global__ void __launch_bounds__(kWarp* kSummers) sum_blocks(const T* partial, int blocks, int stride, int columns, T* out) {
  __shared__ double shared[kSummers][kWarp];
  const int column = blockIdx.x * kWarp + threadIdx.x, part = threadIdx.y;
  double total = 0;
  if (column < columns) {
#pragma unroll 8
    for (int b = part; b < blocks; b += kSummers) total += static_cast<double>(partial[static_cast<int64_t>(b) * stride + column]);
  }
  shared[part][threadIdx.x] = total;
  __syncthreads();
  if (part != 0 || column >= columns) return;
  total = shared[0][threadIdx.x];
  for (int w = 1; w < kSummers; ++w) total += shared[w][threadIdx.x];
  out[column] = static_cast<T>(total);
}
template <class T>
void launch_sum_blocks(const void* partial, int blocks, int stride, int columns, void* out, cudaStream_t stream) {
  sum_blocks<T><<<(columns + kWarp - 1) / kWarp, dim3(kWarp, kSummers), 0, stream>>>(static_cast<const T*>(partial), blocks, stride,
                                                                                     columns, static_cast<T*>(out));
}

// Whether packs of four numbers of up to `bytes` begin where they may: rows of a multiple of four behind addresses of a multiple of four numbers.
template <class... P>
bool in_fours(int64_t n, size_t bytes, const P*... operands) {
  const uintptr_t all = (uintptr_t{0} | ... | reinterpret_cast<uintptr_t>(operands));
  return n % 4 == 0 && all % (4 * bytes) == 0;
}

// Calls f with the template numbers (warps a row, width of a load) that suit a row of n; false where n is too wide. Single loads serve odd widths and
// float64, for which fewer shapes are compiled.
template <class T, class F>
bool with_row_shape(int64_t n, bool fours, const F& f) {
  if (n > kWidestRow) return false;
  const auto call = [&](auto warps, auto width) { f(warps, width); };
  using std::integral_constant;
  if constexpr (sizeof(T) < sizeof(double)) {
    if (fours) {
      const integral_constant<int, 4> four;
      if (n <= 128) call(integral_constant<int, 1>(), four);
      else if (n <= 256) call(integral_constant<int, 2>(), four);
      else if (n <= 512) call(integral_constant<int, 4>(), four);
      else if (n <= 768) call(integral_constant<int, 6>(), four);
      else if (n <= 1024) call(integral_constant<int, 8>(), four);
      else call(integral_constant<int, 16>(), four);
      return true;
    }
  }
  const integral_constant<int, 1> one;
  if (n <= 128) call(integral_constant<int, 1>(), one);
  else if (n <= 1024) call(integral_constant<int, 8>(), one);
  else call(integral_constant<int, 16>(), one);
  return true;
}

// Blocks for `rows` rows of n where sums over rows are taken: four for each multiprocessor of a large GPU, which walk what is left. Depends on the
// shape alone, so that the order of summation does too.
inline int row_blocks(int64_t rows, int64_t n) {
  const int64_t each = n <= 128 ? 8 : n <= 256 ? 4 : n <= 512 ? 2 : 1, most = n <= 1024 ? 528 : 264, wanted = (rows + each - 1) / each;
  return static_cast<int>(wanted < 1 ? 1 : wanted < most ? wanted : most);
}

}  // namespace assay::ops
