#pragma once
#include "assay/tensor/aten.h"

namespace assay::layers {

// Rows of a table E [V, C] for ids [B, T] int64: [B, T, C]. Dense rows over the vocabulary [B, T, V] (arch::Model::forward) are mixed
// instead: x E, which for one-hot rows is the same.
Tensor embed(const Tensor& table_VC, const Tensor& input);

// ids [B, T] int64 -> one-hot rows [B, T, V] of `dtype`; dense rows stay as they are.
Tensor one_hot(const Tensor& input, int64_t vocab_size, at::ScalarType dtype);

}  // namespace assay::layers
