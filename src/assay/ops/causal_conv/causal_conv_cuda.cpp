// Kernels of up to 32 taps; longer ones, and batches or sequences beyond a launch's limits, by ordinary calls.
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/stack.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include <vector>

#include "assay/ops/causal_conv/causal_conv.h"
#include "assay/ops/causal_conv/causal_conv_cuda.h"
#include "assay/ops/causal_conv/causal_conv_op.h"

namespace assay::ops {
namespace {

constexpr int64_t kLargestGrid = 65535;

bool covered(const Tensor& z, int64_t kernel) {
  return z.numel() > 0 && kernel <= kLongestKernel && z.size(0) <= kLargestGrid && z.size(1) <= kLargestGrid;
}

void check(cudaError_t error) { TORCH_CHECK(error == cudaSuccess, "[causal_conv] CUDA launch failed: ", cudaGetErrorString(error)); }

Tensor causal_conv_cuda(const Tensor& given, const Tensor& weight, const Tensor& bias) {
  check_causal_conv(given, weight, bias);
  const c10::cuda::CUDAGuard guard(given.device());
  const int64_t kernel = weight.size(2);
  if (!covered(given, kernel))
    return causal_conv_reference(given.to(weight.scalar_type()), weight, bias).to(given.scalar_type()).contiguous();
  const Tensor z = given.contiguous(), w = weight.contiguous(), b = bias.contiguous(), y = at::empty_like(z);
  check(causal_conv({z.const_data_ptr(), w.const_data_ptr(), b.const_data_ptr(), y.mutable_data_ptr(), z.size(0), z.size(1), z.size(2),
                     kernel, c10::cuda::getCurrentCUDAStream()},
                    z.scalar_type() == at::kDouble, z.scalar_type() == at::kBFloat16));
  return y;
}

// dz of the flipped sequence is the convolution of the flipped g.
CausalConvGrads by_ordinary_calls(const Tensor& g_in, const Tensor& z_in, const Tensor& weight) {
  const Tensor g = g_in.to(weight.scalar_type()), z = z_in.to(weight.scalar_type());
  const int64_t T = z.size(1), kernel = weight.size(2);
  const Tensor ahead = at::constant_pad_nd(g, {0, 0, 0, kernel - 1}), padded = at::constant_pad_nd(z, {0, 0, kernel - 1, 0});
  Tensor dz;
  std::vector<Tensor> dw;
  for (int64_t j = 0; j < kernel; ++j) {
    const Tensor part = weight.select(2, j).squeeze(1) * ahead.narrow(1, kernel - 1 - j, T);
    dz = j == 0 ? part : dz + part;
    dw.push_back((g * padded.narrow(1, j, T)).flatten(0, 1).sum(0));
  }
  return {dz.to(z_in.scalar_type()), at::stack(dw, 1).unsqueeze(1), g.flatten(0, 1).sum(0)};
}

CausalConvGrads causal_conv_backward_cuda(const Tensor& g_in, const Tensor& z_in, const Tensor& weight) {
  const c10::cuda::CUDAGuard guard(z_in.device());
  const int64_t kernel = weight.size(2);
  if (!covered(z_in, kernel)) return by_ordinary_calls(g_in, z_in, weight);
  const Tensor g = g_in.contiguous(), z = z_in.contiguous(), w = weight.contiguous();
  const int64_t B = z.size(0), T = z.size(1), V = z.size(2);
  const Tensor dz = at::empty_like(z), sums = at::empty({kernel + 1, V}, w.options()),
               partial = at::empty({causal_conv_pieces(B, T), kernel + 1, V}, w.options());
  check(causal_conv_backward({g.const_data_ptr(), z.const_data_ptr(), w.const_data_ptr(), dz.mutable_data_ptr(), sums.mutable_data_ptr(),
                              partial.mutable_data_ptr(), B, T, V, kernel, c10::cuda::getCurrentCUDAStream()},
                             z.scalar_type() == at::kDouble, z.scalar_type() == at::kBFloat16));
  return {dz, sums.narrow(0, 0, kernel).t().unsqueeze(1).clone(at::MemoryFormat::Contiguous), sums.select(0, kernel)};
}

}  // namespace

TORCH_LIBRARY_IMPL(assay, CUDA, m) {
  m.impl("causal_conv", causal_conv_cuda);
  m.impl("causal_conv_backward", causal_conv_backward_cuda);
}

}  // namespace assay::ops
