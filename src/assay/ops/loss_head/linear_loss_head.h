#pragma once
#include "assay/ops/loss_head/loss_head.h"
#include "assay/tensor/product.h"

namespace assay::ops {

// loss_head of the logits z w^T: z [B, T, C] float32, float64 or (CUDA, bf16) bfloat16; w [V, C] float32 or float64; targets [B, T] int64. A scalar.
// The logits exist once and turn into their own gradient, so that the upstream factor meets tensors of z's and w's size alone. On a GPU
// in bf16 they are bfloat16, and their products have a width of a multiple of 64 whatever V is: odd ones are several times slower.
// head.norm_eps and head.softcap as there; head.overwrite is implied. No second derivative.
Tensor linear_loss_head(const Tensor& z, const Tensor& w, const Tensor& targets, const LossHead& head, tensor::Precision precision);

}  // namespace assay::ops
