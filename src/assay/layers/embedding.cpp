#include "assay/layers/embedding.h"

#include <ATen/ops/embedding.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/one_hot.h>

namespace assay::layers {

Tensor embed(const Tensor& table_VC, const Tensor& input) {
  return input.is_floating_point() ? at::matmul(input, table_VC) : at::embedding(table_VC, input);
}

Tensor one_hot(const Tensor& input, int64_t vocab_size, at::ScalarType dtype) {
  return input.is_floating_point() ? input : at::one_hot(input, vocab_size).to(dtype);
}

}  // namespace assay::layers
