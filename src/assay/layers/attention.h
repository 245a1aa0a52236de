#pragma once
#include <optional>

#include "assay/tensor/product.h"

namespace assay::layers {

// Causal softmax attention: q, k, v [B, H, T, d] -> [B, H, T, d] in q's dtype. scale: of the scores; 1/sqrt(d) where absent. bf16 on a GPU
// rounds q, k and v.
Tensor causal_attention(const Tensor& q, const Tensor& k, const Tensor& v, std::optional<double> scale, tensor::Precision precision);

// [B, H, T, d] -> [B, T, H d].
Tensor joined_heads(const Tensor& y_BHTd);

}  // namespace assay::layers
