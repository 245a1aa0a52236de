#include "assay/ops/decay_attention/decay_attention_cuda.h"
#include "assay/ops/row_kernels.cuh"

namespace assay::ops {
namespace {

constexpr int kThreads = 128;

// Base-2 logarithm of lambda = sigmoid(logit), without a sum that rounds to 1 for large logits.
template <class C>
__device__ C log2_lambda(const void* logits, int64_t head) {
  const C x = static_cast<const C*>(logits)[head];
  return -log1p(exp(-x)) * C(1.4426950408889634);
}

__device__ float weight(int n, float log2_l) { return exp2f(static_cast<float>(n) * log2_l); }
__device__ double weight(int n, double log2_l) { return exp2(static_cast<double>(n) * log2_l); }

template <class S, int W>
struct alignas(sizeof(S) * W) Pack {
  S e[W];
};

// One block a row (t) of one head's scores; a thread takes W neighbouring keys at a time.
template <class S, int W>
__global__ void __launch_bounds__(kThreads) weigh_kernel(DecayScores a) {
  using C = typename Inside<S>::type;
  const int length = static_cast<int>(a.length), t = static_cast<int>(blockIdx.x % a.length);
  const C log2_l = log2_lambda<C>(a.decay_logit, (blockIdx.x / a.length) % a.heads);
  auto* row = reinterpret_cast<Pack<S, W>*>(static_cast<S*>(a.scores) + int64_t{blockIdx.x} * length);
  for (int p = threadIdx.x; p * W < length; p += kThreads) {
    Pack<S, W> x;
    if (p * W < t) x = row[p];  // what lies in the future is not read
#pragma unroll
    for (int j = 0; j < W; ++j) {
      const int s = p * W + j;
      assign(x.e[j], s < t ? wide(x.e[j]) * weight(t - s - 1, log2_l) : C(0));
    }
    row[p] = x;
  }
}

// Sum over the block in a fixed order: the result does not depend on scheduling.
template <class C>
__device__ C block_sum(C x) {
  __shared__ C partial[kThreads];
  partial[threadIdx.x] = x;
  __syncthreads();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) partial[threadIdx.x] += partial[threadIdx.x + half];
    __syncthreads();
  }
  return partial[0];
}

template <class S, int W>
__global__ void __launch_bounds__(kThreads) weigh_backward_kernel(DecayScores a) {
  using C = typename Inside<S>::type;
  const int length = static_cast<int>(a.length), t = static_cast<int>(blockIdx.x % a.length);
  const C log2_l = log2_lambda<C>(a.decay_logit, (blockIdx.x / a.length) % a.heads);
  auto* scores = reinterpret_cast<Pack<S, W>*>(static_cast<S*>(a.scores) + int64_t{blockIdx.x} * length);
  auto* grads = reinterpret_cast<Pack<S, W>*>(static_cast<S*>(a.grads) + int64_t{blockIdx.x} * length);
  C sum = 0;
  for (int p = threadIdx.x; p * W < length; p += kThreads) {
    Pack<S, W> x, g;
    if (p * W < t) {
      x = scores[p];
      g = grads[p];
    }
#pragma unroll
    for (int j = 0; j < W; ++j) {
      const int s = p * W + j;
      const bool seen = s < t;
      const C w = seen ? weight(t - s - 1, log2_l) : C(0), weighted = seen ? wide(x.e[j]) * w : C(0), grad = seen ? wide(g.e[j]) : C(0);
      sum += static_cast<C>(t - s - 1) * weighted * grad;
      assign(x.e[j], weighted);
      assign(g.e[j], grad * w);
    }
    scores[p] = x;
    grads[p] = g;
  }
  const C total = block_sum(sum);
  if (threadIdx.x == 0) static_cast<C*>(a.row_sums)[blockIdx.x] = total;
}

template <class S, int W>
cudaError_t launch(const DecayScores& a, bool backward) {
  const auto rows = static_cast<unsigned>(a.batch_heads * a.length);
  if (rows > 0 && backward) weigh_backward_kernel<S, W><<<rows, kThreads, 0, a.stream>>>(a);
  if (rows > 0 && !backward) weigh_kernel<S, W><<<rows, kThreads, 0, a.stream>>>(a);
  return cudaGetLastError();
}

// By 16 bytes where rows begin on such addresses.
template <class S>
cudaError_t launch(const DecayScores& a, bool backward) {
  constexpr int kWide = 16 / sizeof(S);
  return a.length % kWide == 0 ? launch<S, kWide>(a, backward) : launch<S, 1>(a, backward);
}

cudaError_t launch(const DecayScores& a, ScoreType type, bool backward) {
  switch (type) {
    case ScoreType::f64: return launch<double>(a, backward);
    case ScoreType::bf16: return launch<__nv_bfloat16>(a, backward);
    case ScoreType::f32: break;
  }
  return launch<float>(a, backward);
}

}  // namespace

cudaError_t weigh_scores(const DecayScores& a, ScoreType type) { return launch(a, type, false); }
cudaError_t weigh_scores_backward(const DecayScores& a, ScoreType type) { return launch(a, type, true); }

}  // namespace assay::ops
