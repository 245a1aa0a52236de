// dW alone, and the sum of shares of it.
#include <algorithm>

#include "assay/ops/banded_product/gradient_tiles.cuh"
#include "assay/ops/banded_product/kernel_launch.h"

namespace assay::ops {
namespace {

template <class S, bool ROWS_WIDE>
__global__ void __launch_bounds__(kGradientThreads, S::kBlocks) gradient_kernel(BandedGradientArguments a, float* to) {
  extern __shared__ __align__(16) unsigned char memory[];
  gradient_part<S, ROWS_WIDE>(a, memory, blockIdx.x, blockIdx.y, blockIdx.z, gridDim.z, to + blockIdx.z * a.count);
}

// In the order of the shares, so that results repeat bit for bit.
__global__ void __launch_bounds__(256) add_shares(const float* partial, int shares, int64_t count, float* to) {
  const int64_t e = int64_t{blockIdx.x} * 256 + threadIdx.x;
  if (e >= count) return;
  float total = 0;
#pragma unroll 8
  for (int p = 0; p < shares; ++p) total += partial[p * count + e];
  to[e] = total;
}

template <class S>
cudaError_t launch_gradient(const BandedGradientArguments& a) {
  const int64_t tiles_narrow = (a.narrow_window + S::kNarrow - 1) / S::kNarrow;
  const dim3 grid(static_cast<unsigned>((std::max(a.out, a.in) + kWideTile - 1) / kWideTile), static_cast<unsigned>(tiles_narrow),
                  static_cast<unsigned>(a.shares));
  const auto kernel = a.out >= a.in ? gradient_kernel<S, true> : gradient_kernel<S, false>;
  const cudaError_t error = launch(kernel, grid, kGradientThreads, S::kBytes, a.stream, a, a.shares == 1 ? a.dvalues : a.partial);
  return error == cudaSuccess ? add_gradient_shares(a) : error;
}

}  // namespace

bool gradient_fits() { return GradientOfWindow::kBytes <= most_shared_memory(); }

cudaError_t banded_gradient(const BandedGradientArguments& a) {
  return gradient_tile_of(a.narrow_window) == GradientOfWindow::kNarrow ? launch_gradient<GradientOfWindow>(a)
                                                                        : launch_gradient<GradientOfNarrowWindow>(a);
}

cudaError_t add_gradient_shares(const BandedGradientArguments& a) {
  if (a.shares == 1) return cudaSuccess;
  const float* partial = a.partial;
  return launch(add_shares, dim3(static_cast<unsigned>((a.count + 255) / 256)), 256, 0, a.stream, partial, static_cast<int>(a.shares),
                a.count, a.dvalues);
}

}  // namespace assay::ops
