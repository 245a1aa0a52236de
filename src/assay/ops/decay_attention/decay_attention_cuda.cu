#include "assay/ops/decay_attention/decay_attention_cuda.h"

namespace assay::ops {
namespace {

constexpr int kThreads = 256;

template <class T>
__device__ T log_lambda(const void* logits, int64_t head) {
  const double x = static_cast<double>(static_cast<const T*>(logits)[head]);
  return static_cast<T>(-log1p(exp(-x)));
}

template <class T>
__device__ T weight(int64_t n, T log_l) {
  return exp(static_cast<T>(n) * log_l);
}

// One block a row (t) of one head's scores; threads stride over the keys, so that neighbouring threads touch neighbouring words.
template <class T>
__global__ void __launch_bounds__(kThreads) weigh_kernel(DecayScores a) {
  const int64_t row = blockIdx.x, t = row % a.length, head = (row / a.length) % a.heads;
  const T log_l = log_lambda<T>(a.decay_logit, head);
  T* scores = static_cast<T*>(a.scores) + row * a.length;
  for (int64_t s = threadIdx.x; s < a.length; s += kThreads) scores[s] = s < t ? scores[s] * weight(t - s - 1, log_l) : T(0);
}

// Sum over the block in a fixed order: the result does not depend on scheduling.
__device__ double block_sum(double x) {
  __shared__ double partial[kThreads];
  partial[threadIdx.x] = x;
  __syncthreads();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) partial[threadIdx.x] += partial[threadIdx.x + half];
    __syncthreads();
  }
  return partial[0];
}

template <class T>
__global__ void __launch_bounds__(kThreads) weigh_backward_kernel(DecayScores a) {
  const int64_t row = blockIdx.x, t = row % a.length, head = (row / a.length) % a.heads;
  const T log_l = log_lambda<T>(a.decay_logit, head);
  T* scores = static_cast<T*>(a.scores) + row * a.length;
  T* grads = static_cast<T*>(a.grads) + row * a.length;
  double sum = 0;
  for (int64_t s = threadIdx.x; s < a.length; s += kThreads) {
    const T w = s < t ? weight(t - s - 1, log_l) : T(0);
    const T weighted = s < t ? scores[s] * w : T(0), grad = s < t ? grads[s] : T(0);
    sum += static_cast<double>(t - s - 1) * static_cast<double>(weighted) * static_cast<double>(grad);
    scores[s] = weighted;
    grads[s] = grad * w;
  }
  const double total = block_sum(sum);
  if (threadIdx.x == 0) static_cast<T*>(a.row_sums)[row] = static_cast<T>(total);
}

template <class T>
cudaError_t launch(const DecayScores& a, void (*kernel)(DecayScores)) {
  const int64_t rows = a.batch_heads * a.length;
  if (rows > 0) kernel<<<static_cast<unsigned>(rows), kThreads, 0, a.stream>>>(a);
  return cudaGetLastError();
}

}  // namespace

cudaError_t weigh_scores(const DecayScores& a, bool is_double) {
  return is_double ? launch<double>(a, weigh_kernel<double>) : launch<float>(a, weigh_kernel<float>);
}

cudaError_t weigh_scores_backward(const DecayScores& a, bool is_double) {
  return is_double ? launch<double>(a, weigh_backward_kernel<double>) : launch<float>(a, weigh_backward_kernel<float>);
}

}  // namespace assay::ops
