#pragma once
#include "assay/ops/loss_head/loss_head.h"
#include "assay/tensor/product.h"

namespace assay::ops {

// loss_head of the logits z w^T: z [B, T, C] float32, float64 or (CUDA, bf16) bfloat16; w [V, C] float32 or float64; targets [B, T] int64. A scalar.
// The logits exist once and turn into their own gradient, so that the upstream factor meets tensors of z's and w's size alone. On a GPU
// in bf16 they are bfloat16 and rows begin on aligned addresses, whatever V is: products of an odd width are slow otherwise.
// head.norm_eps and head.softcap as there; head.overwrite is implied. No second derivative.
Tensor linear_loss_head(const Tensor& z, const Tensor& w, const Tensor& targets, const LossHead& head, tensor::Precision precision);

}  // namespace assay::ops
