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

// [B H, T, n], in bfloat16 where the products are to have such operands.
Tensor batched(const Tensor& t, bool bf16) {
  const Tensor flat = t.reshape({t.size(0) * t.size(1), t.size(2), t.size(3)});
  return bf16 && t.scalar_type() == at::kFloat ? flat.to(at::kBFloat16) : flat;
}

ScoreType type_of(const Tensor& scores) {
  return scores.scalar_type() == at::kDouble ? ScoreType::f64 : scores.scalar_type() == at::kBFloat16 ? ScoreType::bf16 : ScoreType::f32;
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
  const Tensor logits = decay_logit.contiguous(), scores = at::bmm(batched(q, bf16), batched(k, bf16).transpose(1, 2));
  check(weigh_scores(arguments(q, logits, scores), type_of(scores)));
  return at::bmm(scores, batched(v, bf16)).to(v.scalar_type()).view(v.sizes());
}

DecayAttentionGrads decay_attention_backward_cuda(const Tensor& grad, const Tensor& q, const Tensor& k, const Tensor& v,
                                                  const Tensor& decay_logit, bool bf16) {
  check_decay_attention(q, k, v, decay_logit);
  const c10::cuda::CUDAGuard guard(q.device());
  const Tensor logits = decay_logit.contiguous(), g3 = batched(grad, bf16), q3 = batched(q, bf16), k3 = batched(k, bf16),
               v3 = batched(v, bf16);
  const Tensor qk = at::bmm(q3, k3.transpose(1, 2)), gv = at::bmm(g3, v3.transpose(1, 2));
  const Tensor row_sums = at::empty({q.size(0), q.size(1), q.size(2)}, logits.options());
  DecayScores a = arguments(q, logits, qk);
  a.grads = gv.mutable_data_ptr();
  a.row_sums = row_sums.mutable_data_ptr();
  check(weigh_scores_backward(a, type_of(qk)));
  const Tensor dlogit = row_sums.to(at::kDouble).sum(at::IntArrayRef{0, 2}) * (-logits.to(at::kDouble)).sigmoid();
  const auto finish = [&](const Tensor& product, const Tensor& like) { return product.to(like.scalar_type()).view(like.sizes()); };
  return {finish(at::bmm(gv, k3), q), finish(at::bmm(gv.transpose(1, 2), q3), k), finish(at::bmm(qk.transpose(1, 2), g3), v),
          dlogit.to(logits.scalar_type())};
}

}  // namespace

TORCH_LIBRARY_IMPL(assay, CUDA, m) {
  m.impl("decay_attention", decay_attention_cuda);
  m.impl("decay_attention_backward", decay_attention_backward_cuda);
}

}  // namespace assay::ops
