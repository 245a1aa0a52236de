#pragma once
#include "assay/ops/loss_head/loss_head.h"
#include "assay/tensor/product.h"

namespace assay::ops {

inline constexpr int64_t kLogitsBytes = int64_t{1} << 29;

// loss_head of the logits z w^T: z [B, T, C] float32, float64 or (in bf16) bfloat16; w [V, C] float32 or float64; targets [B, T] int64. A scalar.
// The logits exist once, of as many sequences at a time as take at most `logits_bytes`, and turn into their own gradient; both products with that are made in
// the forward pass, so that the upstream factor meets tensors of z's and w's size alone and nothing of the logits' size waits for it. On a GPU
// in bf16 they are bfloat16, and their products have a width of a multiple of 64 whatever V is: odd ones are several times slower.
// head.norm_eps and head.softcap as there; head.overwrite is implied. No second derivative.
Tensor linear_loss_head(const Tensor& z, const Tensor& w, const Tensor& targets, const LossHead& head, tensor::Precision precision,
                        int64_t logits_bytes = kLogitsBytes);

}  // namespace assay::ops
