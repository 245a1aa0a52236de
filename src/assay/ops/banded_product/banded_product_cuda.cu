// y = x M^T alone.
#include "assay/ops/banded_product/kernel_launch.h"
#include "assay/ops/banded_product/product_tiles.cuh"

namespace assay::ops {
namespace {

template <class S>
__global__ void __launch_bounds__(S::kThreads, S::kBlocks) product_kernel(BandedProductArguments a) {
  extern __shared__ __align__(16) unsigned char memory[];
  product_part<S>(a, memory, blockIdx.x, blockIdx.y, gridDim.y);
}

template <class S>
cudaError_t launch_product(const BandedProductArguments& a) {
  const int64_t bytes = S::bytes(a.window), columns = (a.out + S::kOutputs - 1) / S::kOutputs, tiles = (a.N + S::kRows - 1) / S::kRows;
  const dim3 grid(static_cast<unsigned>(columns), static_cast<unsigned>(shares_of(tiles, block_slots(bytes, S::kBlocks), columns)));
  return launch(product_kernel<S>, grid, S::kThreads, bytes, a.stream, a);
}

template <class S>
bool fits(int64_t window) {
  return S::bytes(window) <= most_shared_memory();
}

// Whether banded_product_of_packed has a shape for it.
bool has_shape(int64_t window) { return (window <= kMoreInputs && fits<ProductOfMoreInputs>(window)) || fits<ProductOfMostInputs>(window); }

// The density up to which the kernels were measured (0.235 at 4096 x 1024 and 1024 x 4096 on an H100), and faster there than windows and than the dense
// product of the whole matrix.
constexpr double kDensest = 0.25;

}  // namespace

bool covers(const Band& band, const BandExtent& extent) {
  constexpr int64_t kVector = 8, kMost = int64_t{1} << 30,
                    kWidest = int64_t{1} << 24;  // numbers of a load of 16 bytes; what is counted in 32 bits
  const int64_t window = std::max(extent.window, extent.transposed_window);
  return band.out % kVector == 0 && band.in % kVector == 0 && band.out < kWidest && band.in < kWidest && extent.count < kMost &&
         static_cast<double>(extent.count) <= kDensest * static_cast<double>(band.out) * static_cast<double>(band.in) &&
         has_shape(window) && gradient_fits();
}

cudaError_t banded_product(const BandedProductArguments& a) {
  const cudaError_t error = pack_weights(a);
  return error == cudaSuccess ? banded_product_of_packed(a) : error;
}

cudaError_t banded_product_of_packed(const BandedProductArguments& a) {
  if (a.window <= kFewInputs && fits<ProductOfFewInputs>(a.window)) return launch_product<ProductOfFewInputs>(a);
  if (a.window <= kSomeInputs && fits<ProductOfSomeInputs>(a.window)) return launch_product<ProductOfSomeInputs>(a);
  if (a.window <= kMoreInputs && fits<ProductOfMoreInputs>(a.window)) return launch_product<ProductOfMoreInputs>(a);
  if (fits<ProductOfManyInputs>(a.window)) return launch_product<ProductOfManyInputs>(a);
  return launch_product<ProductOfMostInputs>(a);
}

}  // namespace assay::ops
