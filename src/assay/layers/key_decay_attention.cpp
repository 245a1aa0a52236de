#include "assay/layers/key_decay_attention.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/log.h>
#include <ATen/ops/sigmoid.h>

namespace assay::layers {
namespace {

// Batched product with rounded operands where asked: in bf16 on a GPU, elsewhere as exact products of rounded numbers.
Tensor multiply(const Tensor& a, const Tensor& b, bool bf16) {
  if (!bf16 || a.scalar_type() == at::kDouble) return at::bmm(a, b);
  const Tensor a16 = a.to(at::kBFloat16), b16 = b.to(at::kBFloat16);
  return a.is_cuda() ? at::bmm(a16, b16).to(a.scalar_type()) : at::bmm(a16.to(a.scalar_type()), b16.to(a.scalar_type()));
}

}  // namespace

Tensor key_decay_attention(const Tensor& q_BTc, const Tensor& k_BSc, const Tensor& v_BSd, const Tensor& logit_BS, int64_t first,
                           bool bf16) {
  const auto options = q_BTc.options().requires_grad(false);
  const Tensor t = at::arange(first, first + q_BTc.size(1), options), s = at::arange(k_BSc.size(1), options);
  const Tensor distance_TS = t.unsqueeze(1) - s - 1;
  const Tensor rate_B1S = at::log(at::sigmoid(logit_BS) + 1e-8).unsqueeze(1);
  const Tensor w_BTS = at::exp(distance_TS.clamp_min(0) * rate_B1S) * (distance_TS >= 0);
  return multiply(multiply(q_BTc, k_BSc.transpose(1, 2), bf16) * w_BTS, v_BSd, bf16);
}

}  // namespace assay::layers
