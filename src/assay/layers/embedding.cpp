#include "assay/layers/embedding.h"

#include <ATen/ops/embedding.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>

namespace assay::layers {

Tensor embed(const Tensor& table_VC, const Tensor& input) {
  return input.is_floating_point() ? at::matmul(input, table_VC) : at::embedding(table_VC, input);
}

Tensor one_hot(const Tensor& input, int64_t vocab_size, at::ScalarType dtype) {
  if (input.is_floating_point()) return input;
  const Tensor rows = at::zeros({input.size(0), input.size(1), vocab_size}, input.options().dtype(dtype));
  return rows.scatter_(-1, input.unsqueeze(-1), 1);
}

}  // namespace assay::layers
