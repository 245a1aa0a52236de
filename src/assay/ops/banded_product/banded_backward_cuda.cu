// dx and dW in one launch: some blocks compute the one, some the other, and both kinds walk along the rows at about the same pace, so that what one kind
// has read of g the other finds in the cache.
#include <algorithm>

#include "assay/ops/banded_product/gradient_tiles.cuh"
#include "assay/ops/banded_product/kernel_launch.h"
#include "assay/ops/banded_product/product_tiles.cuh"

namespace assay::ops {
namespace {

// Blocks for each of both products where they share a launch: one of each kind for each multiprocessor of an H100. The number stays so elsewhere: the order of
// summation depends on it.
constexpr int64_t kSharedSlots = 132, kFewestRows = 256;

// Both in one launch if two blocks fit a multiprocessor (of an H100; of a smaller one they follow each other) and each tile of dW is summed by two blocks at least: a large dW is better off with all of the
// device. Counts no blocks of the device, so that the order of summation depends on the shape.
bool together(int64_t window, int64_t tiles) {
  const int64_t bytes = window <= kSomeInputs ? ProductOfSomeInputs::bytes(window) : ProductOfMostInputs::bytes(window);
  constexpr int64_t kHalf = 113 << 10;
  return std::max<int64_t>(bytes, GradientOfWindow::kBytes) <= std::min(kHalf, most_shared_memory()) && 2 * tiles <= kSharedSlots;
}

struct Grid {
  int product_columns, product_shares, tiles_wide, tiles_narrow, gradient_shares;
  int products() const { return product_columns * product_shares; }
  int blocks() const { return products() + tiles_wide * tiles_narrow * gradient_shares; }
};

template <class P, class S, bool ROWS_WIDE>
__global__ void __launch_bounds__(kGradientThreads, 2)
    backward_kernel(BandedProductArguments p, BandedGradientArguments a, Grid grid, float* to) {
  static_assert(P::kThreads == kGradientThreads);
  extern __shared__ __align__(16) unsigned char memory[];
  const int products = grid.product_columns * grid.product_shares, block = static_cast<int>(blockIdx.x);
  if (block < products) {
    product_part<P>(p, memory, block % grid.product_columns, block / grid.product_columns, grid.product_shares);
  } else {
    const int tile = block - products, share = tile / (grid.tiles_wide * grid.tiles_narrow);
    gradient_part<S, ROWS_WIDE>(a, memory, tile % grid.tiles_wide, tile / grid.tiles_wide % grid.tiles_narrow, share, grid.gradient_shares,
                                to + share * a.count);
  }
}

template <class P, class S>
cudaError_t launch_backward(const BandedProductArguments& p, const BandedGradientArguments& a) {
  const int64_t bytes = std::max<int64_t>(P::bytes(p.window), S::kBytes);
  const auto kernel = a.out >= a.in ? backward_kernel<P, S, true> : backward_kernel<P, S, false>;
  Grid grid{};
  grid.product_columns = static_cast<int>((p.out + P::kOutputs - 1) / P::kOutputs);
  grid.product_shares = static_cast<int>(shares_of((p.N + P::kRows - 1) / P::kRows, kSharedSlots, grid.product_columns));
  grid.tiles_wide = static_cast<int>((std::max(a.out, a.in) + kWideTile - 1) / kWideTile);
  grid.tiles_narrow = static_cast<int>((a.narrow_window + S::kNarrow - 1) / S::kNarrow);
  grid.gradient_shares = static_cast<int>(a.shares);
  const cudaError_t error = launch(kernel, dim3(static_cast<unsigned>(grid.blocks())), kGradientThreads, bytes, a.stream, p, a, grid,
                                   a.shares == 1 ? a.dvalues : a.partial);
  return error == cudaSuccess ? add_gradient_shares(a) : error;
}

template <class P>
cudaError_t launch_backward(const BandedProductArguments& p, const BandedGradientArguments& a) {
  return gradient_tile_of(a.narrow_window) == GradientOfWindow::kNarrow ? launch_backward<P, GradientOfWindow>(p, a)
                                                                        : launch_backward<P, GradientOfNarrowWindow>(p, a);
}

}  // namespace

int64_t gradient_shares(int64_t N, int64_t out, int64_t in, const BandExtent& extent) {
  const int64_t tiles = gradient_tiles(out, in, extent.narrow_window),
                slots = together(extent.transposed_window, tiles) ? kSharedSlots : 2 * kSharedSlots;
  return std::clamp<int64_t>(slots / tiles, 1, std::max<int64_t>(1, N / kFewestRows));
}

cudaError_t banded_backward(const BandedProductArguments& p, const BandedGradientArguments& a) {
  cudaError_t error = pack_weights(p);
  if (error != cudaSuccess) return error;
  if (together(p.window, gradient_tiles(a.out, a.in, a.narrow_window)))
    return p.window <= kFewInputs    ? launch_backward<SharedProductOfFewInputs>(p, a)
           : p.window <= kSomeInputs ? launch_backward<ProductOfSomeInputs>(p, a)
                                     : launch_backward<ProductOfMostInputs>(p, a);
  error = banded_product_of_packed(p);
  return error == cudaSuccess ? banded_gradient(a) : error;
}

}  // namespace assay::ops
