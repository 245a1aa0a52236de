#include "assay/ops/column_sums/column_sums_cuda.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include "assay/ops/column_sums/column_sums.h"

namespace assay::ops {
namespace {

Tensor column_sums_cuda(const Tensor& given) {
  check_column_sums(given);
  const c10::cuda::CUDAGuard guard(given.device());
  const Tensor x = given.contiguous();
  const int64_t rows = x.size(0), n = x.size(1);
  const at::ScalarType type = x.scalar_type();
  const auto options = x.options().dtype(type == at::kBFloat16 ? at::kFloat : type);
  if (x.numel() == 0) return at::zeros({n}, options);
  const Tensor out = at::empty({n}, options), partial = at::empty({column_sum_blocks(rows, n), n}, options);
  const cudaError_t error =
      column_sums({x.const_data_ptr(), out.mutable_data_ptr(), partial.mutable_data_ptr(), rows, n, c10::cuda::getCurrentCUDAStream()},
                  type == at::kBFloat16 ? Numbers::bf16
                  : type == at::kFloat  ? Numbers::f32
                                        : Numbers::f64);
  TORCH_CHECK(error == cudaSuccess, "[column_sums] CUDA launch failed: ", cudaGetErrorString(error));
  return out;
}

}  // namespace

TORCH_LIBRARY_IMPL(assay, CUDA, m) { m.impl("column_sums", column_sums_cuda); }

}  // namespace assay::ops
