// A thread a channel and a piece of a sequence. The last TAPS positions stay in registers, so that each number is read once a piece; TAPS is the kernel's
// length rounded up, the taps that are too many are zeros before the first.
#include "assay/ops/causal_conv/causal_conv_cuda.h"
#include "assay/ops/row_kernels.cuh"

namespace assay::ops {
namespace {

constexpr int kThreads = 128;
constexpr int64_t kPiece = 128;  // positions

struct Place {
  int64_t channel, begin, end;
  __device__ Place(int64_t T, int64_t V)
      : channel(int64_t{blockIdx.x} * kThreads + threadIdx.x),
        begin(int64_t{blockIdx.y} * kPiece),
        end(begin + kPiece < T ? begin + kPiece : T) {}
};

// Tap j of TAPS, of which the last K are the kernel's.
template <class T, int TAPS>
__device__ void load_taps(const void* weight, int64_t channel, int64_t K, T (&w)[TAPS]) {
#pragma unroll
  for (int j = 0; j < TAPS; ++j) w[j] = j < TAPS - K ? T(0) : static_cast<const T*>(weight)[channel * K + j - (TAPS - K)];
}

template <class T, class Z>
__device__ T at_position(const Z* of_channel, int64_t t, int64_t T_, int64_t V) {
  return t < 0 || t >= T_ ? T(0) : T(wide(of_channel[t * V]));
}

template <class T, class Z, int TAPS>
__global__ void __launch_bounds__(kThreads) forward_kernel(CausalConvArguments a) {
  const Place at(a.T, a.V);
  if (at.channel >= a.V) return;
  const int64_t first = int64_t{blockIdx.z} * a.T * a.V + at.channel;
  const Z* z = static_cast<const Z*>(a.z) + first;
  Z* y = static_cast<Z*>(a.y) + first;
  const T bias = static_cast<const T*>(a.bias)[at.channel];
  T w[TAPS], past[TAPS];  // past[t % TAPS], t counted from the piece's beginning
  load_taps(a.weight, at.channel, a.K, w);
#pragma unroll
  for (int j = 1; j < TAPS; ++j) past[j] = at_position<T>(z, at.begin - TAPS + j, a.T, a.V);
  for (int64_t t = at.begin; t < at.end; t += TAPS) {
    T next[TAPS];  // all are asked for before the first is waited for
#pragma unroll
    for (int i = 0; i < TAPS; ++i) next[i] = at_position<T>(z, t + i, a.T, a.V);
#pragma unroll
    for (int i = 0; i < TAPS; ++i) {
      past[i] = next[i];
      T sum = bias;
#pragma unroll
      for (int j = 0; j < TAPS; ++j) sum += w[j] * past[(i + 1 + j) % TAPS];
      if (t + i < at.end) assign(y[(t + i) * a.V], sum);
    }
  }
}

// Sums for dw go by TAPS positions, and those sums together: one running sum of a piece's positions was twice as wrong as ordinary calls.
// dz at t - (TAPS - 1) needs g up to t: the piece's own and the TAPS - 1 positions behind it. dw and db count the piece's own g.
template <class T, class Z, int TAPS>
__global__ void __launch_bounds__(kThreads) backward_kernel(CausalConvBackwardArguments a) {
  const Place at(a.T, a.V);
  if (at.channel >= a.V) return;
  const int64_t first = int64_t{blockIdx.z} * a.T * a.V + at.channel;
  const Z *g = static_cast<const Z*>(a.g) + first, *z = static_cast<const Z*>(a.z) + first;
  Z* dz = static_cast<Z*>(a.dz) + first;
  // What an addition to dw rounds off is taken along by the next (Kahan 1965), where registers are left for it.
  constexpr bool kCompensated = TAPS <= 16 && sizeof(T) < sizeof(double);
  T w[TAPS], up[TAPS] = {}, past[TAPS], dw[TAPS] = {}, lost[TAPS] = {}, db = 0;
  load_taps(a.weight, at.channel, a.K, w);
#pragma unroll
  for (int j = 1; j < TAPS; ++j) past[j] = at_position<T>(z, at.begin - TAPS + j, a.T, a.V);
  for (int64_t t = at.begin; t < at.end + TAPS - 1; t += TAPS) {
    T next_up[TAPS], next[TAPS], part[TAPS] = {};
#pragma unroll
    for (int i = 0; i < TAPS; ++i) {
      next_up[i] = at_position<T>(g, t + i, a.T, a.V);
      next[i] = at_position<T>(z, t + i, at.end, a.V);
    }
#pragma unroll
    for (int i = 0; i < TAPS; ++i) {
      const bool own = t + i < at.end;
      up[i] = next_up[i];
      past[i] = next[i];
      T sum = 0;
#pragma unroll
      for (int j = 0; j < TAPS; ++j) {
        sum += w[TAPS - 1 - j] * up[(i + 1 + j) % TAPS];  // of g at s + j
        if (own) part[j] += up[i] * past[(i + 1 + j) % TAPS];
      }
      if (own) db += up[i];
      const int64_t s = t + i - (TAPS - 1);
      if (s >= at.begin && s < at.end) assign(dz[s * a.V], sum);
    }
#pragma unroll
    for (int j = 0; j < TAPS; ++j) {
      const T added = part[j] - lost[j], sum = dw[j] + added;
      if (kCompensated) lost[j] = (sum - dw[j]) - added;
      dw[j] = sum;
    }
  }
  T* partial = static_cast<T*>(a.partial) + (int64_t{blockIdx.z} * gridDim.y + blockIdx.y) * (a.K + 1) * a.V + at.channel;
#pragma unroll
  for (int j = 0; j < TAPS; ++j)
    if (j >= TAPS - a.K) partial[(j - (TAPS - a.K)) * a.V] = dw[j];
  partial[a.K * a.V] = db;
}

// Calls f with TAPS; false where the kernel is too long.
template <class F>
bool with_taps(int64_t K, const F& f) {
  using std::integral_constant;
  if (K <= 4) f(integral_constant<int, 4>());
  else if (K <= 8) f(integral_constant<int, 8>());
  else if (K <= 16) f(integral_constant<int, 16>());
  else if (K <= kLongestKernel) f(integral_constant<int, kLongestKernel>());
  else return false;
  return true;
}

dim3 grid(int64_t B, int64_t T, int64_t V) {
  return {static_cast<unsigned>((V + kThreads - 1) / kThreads), static_cast<unsigned>((T + kPiece - 1) / kPiece), static_cast<unsigned>(B)};
}

template <class T, class Z>
cudaError_t launch(const CausalConvArguments& a) {
  const bool done =
      with_taps(a.K, [&](auto taps) { forward_kernel<T, Z, decltype(taps)::value><<<grid(a.B, a.T, a.V), kThreads, 0, a.stream>>>(a); });
  return done ? cudaGetLastError() : cudaErrorInvalidValue;
}

template <class T, class Z>
cudaError_t launch(const CausalConvBackwardArguments& a) {
  const bool done =
      with_taps(a.K, [&](auto taps) { backward_kernel<T, Z, decltype(taps)::value><<<grid(a.B, a.T, a.V), kThreads, 0, a.stream>>>(a); });
  if (!done) return cudaErrorInvalidValue;
  const int columns = static_cast<int>((a.K + 1) * a.V);
  launch_sum_blocks<T>(a.partial, causal_conv_pieces(a.B, a.T), columns, columns, a.sums, a.stream);
  return cudaGetLastError();
}

}  // namespace

int causal_conv_pieces(int64_t B, int64_t T) { return static_cast<int>(B * ((T + kPiece - 1) / kPiece)); }

cudaError_t causal_conv(const CausalConvArguments& a, bool is_double, bool narrow) {
  if (is_double) return launch<double, double>(a);
  return narrow ? launch<float, __nv_bfloat16>(a) : launch<float, float>(a);
}

cudaError_t causal_conv_backward(const CausalConvBackwardArguments& a, bool is_double, bool narrow) {
  if (is_double) return launch<double, double>(a);
  return narrow ? launch<float, __nv_bfloat16>(a) : launch<float, float>(a);
}

}  // namespace assay::ops
