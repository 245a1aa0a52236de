#pragma once
#include <optional>

#include "assay/tensor/product.h"

namespace assay::layers {

// Causal softmax attention: q, k, v [B, H, T, d] -> [B, H, T, d] in q's dtype. scale: of the scores; 1/sqrt(d) where absent. bf16 on a GPU
// rounds q, k and v. Differentiable once. Its gradients repeat bit for bit, but for float32 on a GPU.
Tensor causal_attention(const Tensor& q, const Tensor& k, const Tensor& v, std::optional<double> scale, tensor::Precision precision);

// The same from the rows of one product: qkv [B, T, 3 H d], queries first, then keys, then values -> [B, T, H d].
// Queries, keys and values are read, and their gradients written, where they lie.
Tensor packed_causal_attention(const Tensor& qkv_BTC, int64_t heads, tensor::Precision precision);

// [B, H, T, d] -> [B, T, H d].
Tensor joined_heads(const Tensor& y_BHTd);

}  // namespace assay::layers
