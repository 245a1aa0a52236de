#pragma once
// What the kernels of the loss head share: numbers of a row, its loss and derivative, sums over a warp and a block.
#include "assay/ops/loss_head/loss_head_cuda.h"
#include "assay/ops/loss_head/loss_row.h"
#include "assay/ops/row_kernels.cuh"

namespace assay::ops::loss_rows {

inline constexpr int kWarpsPerBlock = 4, kBlock = 1024;

template <class In, class T>
__device__ In narrow(T x) {
  return static_cast<In>(x);
}
template <>
__device__ inline __nv_bfloat16 narrow<__nv_bfloat16, float>(float x) {
  return __float2bfloat16_rn(x);
}

__device__ inline float largest_of(float a, float b) { return fmaxf(a, b); }
__device__ inline double largest_of(double a, double b) { return fmax(a, b); }  // a NaN reaches the loss through the sum of exponentials

// Exponentials are powers of two from a base, the largest logit times log2(e), rounded: exp(l) = 2^base power(l, base), one fused multiply-add and the
// hardware's exponential. What was taken from one base goes over to another by their difference, so that a base's rounding is in no result.
template <class T>
__device__ T base_of(T highest) {
  return highest * T(1.4426950408889634);
}
__device__ inline float power(float l, float base) { return exp2f(fmaf(l, 1.4426950408889634f, -base)); }
__device__ inline double power(double l, double base) { return exp2(fma(l, 1.4426950408889634, -base)); }
__device__ inline float power_between(float from, float to) { return exp2f(from - to); }
__device__ inline double power_between(double from, double to) { return exp2(from - to); }
__device__ inline float log_of(float base, float mass) {
  return fmaf(base, 0.693147182f, fmaf(base, -1.90465433e-9f, logf(mass)));
}  // ln 2 in two
__device__ inline double log_of(double base, double mass) { return fma(base, 0.69314718055994530942, log(mass)); }

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
  T base, share, even, hit, lse;
};

template <class T>
__device__ RowNumbers<T> row_numbers(T base, T mass, const LossRowSettings<T>& s) {
  RowNumbers<T> r;
  r.base = base;
  r.lse = log_of(base, mass);
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
  T d = power(l, r.base) * r.share - r.even;
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

}  // namespace assay::ops::loss_rows
