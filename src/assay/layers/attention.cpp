#include "assay/layers/attention.h"

#include <ATen/ops/scaled_dot_product_attention.h>

namespace assay::layers {

Tensor causal_attention(const Tensor& q, const Tensor& k, const Tensor& v, std::optional<double> scale, tensor::Precision precision) {
  const auto rounded = [&](const Tensor& t) { return precision == tensor::Precision::bf16 && t.is_cuda() ? t.to(at::kBFloat16) : t; };
  return at::scaled_dot_product_attention(rounded(q), rounded(k), rounded(v), std::nullopt, 0.0, true, scale).to(q.scalar_type());
}

Tensor joined_heads(const Tensor& y_BHTd) {
  return y_BHTd.transpose(1, 2).reshape({y_BHTd.size(0), y_BHTd.size(2), y_BHTd.size(1) * y_BHTd.size(3)});
}

}  // namespace assay::layers
