// Quadratic form on the GPU: batched cuBLAS products around one elementwise kernel. The T x T scores live in memory once in
// forward and twice in backward; README.md has the ladder.
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include "assay/ops/decay_attention/decay_attention.h"
#include "assay/ops/decay_attention/decay_attention_cuda.h"

namespace assay::ops {
namespace {

Tensor batched(const Tensor& t) { return t.reshape({t.size(0) * t.size(1), t.size(2), t.size(3)}); }

// a b with operands rounded to bf16 where asked; always float32 or float64 out.
Tensor multiply(const Tensor& a, const Tensor& b, bool bf16) {
  if (!bf16 || a.scalar_type() == at::kDouble) return at::bmm(a, b);
  return at::bmm(a.to(at::kBFloat16), b.to(at::kBFloat16)).to(a.scalar_type());
}

DecayScores arguments(const Tensor& q, const Tensor& logits, const Tensor& scores) {
  DecayScores a{};
  a.batch_heads = q.size(0) * q.size(1);
  a.heads = q.size(1);
  a.length = q.size(2);
  a.decay_logit = logits.const_data_ptr();
  a.scores = scores.mutable_data_ptr();
  a.stream = c10::cuda::getCurrentCUDAStream();
  return a;
}

void check(cudaError_t error) { TORCH_CHECK(error == cudaSuccess, "[decay_attention] CUDA launch failed: ", cudaGetErrorString(error)); }

Tensor decay_attention_cuda(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& decay_logit, bool bf16) {
  check_decay_attention(q, k, v, decay_logit);
  const c10::cuda::CUDAGuard guard(q.device());
  const Tensor logits = decay_logit.contiguous(), scores = multiply(batched(q), batched(k).transpose(1, 2), bf16).contiguous();
  check(weigh_scores(arguments(q, logits, scores), q.scalar_type() == at::kDouble));
  return multiply(scores, batched(v), bf16).view(v.sizes());
}

DecayAttentionGrads decay_attention_backward_cuda(const Tensor& grad, const Tensor& q, const Tensor& k, const Tensor& v,
                                                  const Tensor& decay_logit, bool bf16) {
  check_decay_attention(q, k, v, decay_logit);
  const c10::cuda::CUDAGuard guard(q.device());
  const Tensor logits = decay_logit.contiguous(), g3 = batched(grad), q3 = batched(q), k3 = batched(k), v3 = batched(v);
  const Tensor qk = multiply(q3, k3.transpose(1, 2), bf16).contiguous(), gv = multiply(g3, v3.transpose(1, 2), bf16).contiguous();
  const Tensor row_sums = at::empty({q.size(0), q.size(1), q.size(2)}, q.options());
  DecayScores a = arguments(q, logits, qk);
  a.grads = gv.mutable_data_ptr();
  a.row_sums = row_sums.mutable_data_ptr();
  check(weigh_scores_backward(a, q.scalar_type() == at::kDouble));
  const Tensor dlogit = row_sums.to(at::kDouble).sum(at::IntArrayRef{0, 2}) * (-logits.to(at::kDouble)).sigmoid();
  return {multiply(gv, k3, bf16).view(q.sizes()), multiply(gv.transpose(1, 2), q3, bf16).view(k.sizes()),
          multiply(qk.transpose(1, 2), g3, bf16).view(v.sizes()), dlogit.to(logits.scalar_type())};
}

}  // namespace

TORCH_LIBRARY_IMPL(assay, CUDA, m) {
  m.impl("decay_attention", decay_attention_cuda);
  m.impl("decay_attention_backward", decay_attention_backward_cuda);
}

}  // namespace assay::ops
