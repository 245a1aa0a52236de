#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include "assay/ops/adam/adam.h"
#include "assay/ops/adam/adam_cuda.h"

namespace assay::ops {
namespace {

void check(cudaError_t error) { TORCH_CHECK(error == cudaSuccess, "[adam] CUDA launch failed: ", cudaGetErrorString(error)); }

void decide_cuda(const Tensor& grads, const Tensor& loss, Tensor control, Tensor log, double beta1, double beta2) {
  const c10::cuda::CUDAGuard guard(grads.device());
  const Tensor partial = at::empty({decide_blocks(grads.numel())}, control.options());
  check(decide_update(
      {grads.const_data_ptr(), grads.numel(), loss.const_data_ptr(), partial.mutable_data_ptr<double>(), control.mutable_data_ptr(),
       log.mutable_data_ptr<double>(), log.size(0), beta1, beta2, c10::cuda::getCurrentCUDAStream()},
      grads.scalar_type() == at::kDouble));
}

void adam_cuda(Tensor values, const Tensor& grads, Tensor first, Tensor second, const std::optional<Tensor>& shadow, const Tensor& control,
               const Tensor& chunks, double beta1, double beta2, double eps, bool decoupled) {
  const c10::cuda::CUDAGuard guard(values.device());
  check(adam_update({values.mutable_data_ptr(), first.mutable_data_ptr(), second.mutable_data_ptr(), grads.const_data_ptr(),
                     shadow ? shadow->mutable_data_ptr() : nullptr, control.const_data_ptr(), chunks.const_data_ptr<double>(),
                     chunks.size(0), beta1, beta2, eps, decoupled, c10::cuda::getCurrentCUDAStream()},
                    values.scalar_type() == at::kDouble));
}

}  // namespace

TORCH_LIBRARY_IMPL(assay, CUDA, m) {
  m.impl("decide_update_", decide_cuda);
  m.impl("adam_", adam_cuda);
}

}  // namespace assay::ops
