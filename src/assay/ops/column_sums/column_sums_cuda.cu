// A warp reads 16 bytes a lane of a row, eight warps of a block every eighth row of the block's share; what the blocks of a column have is added by
// sum_blocks.
#include "assay/ops/column_sums/column_sums_cuda.h"
#include "assay/ops/row_kernels.cuh"

namespace assay::ops {
namespace {

constexpr int kRowsTogether = 8, kBlocks = 528, kFewestRows = 4 * kRowsTogether;

// W neighbouring columns a lane.
template <class X, class T, int W>
__global__ void __launch_bounds__(kWarp* kRowsTogether) part_kernel(const X* x, int64_t rows, int n, T* partial) {
  constexpr int kColumns = kWarp * W;
  struct alignas(sizeof(X) * W) Pack {
    X e[W];
  };
  __shared__ T shared[kRowsTogether][kColumns];
  const int column = blockIdx.x * kColumns + threadIdx.x * W;
  T total[W] = {};
  if (column < n) {
#pragma unroll 4
    for (int64_t row = int64_t{blockIdx.y} * kRowsTogether + threadIdx.y; row < rows; row += int64_t{gridDim.y} * kRowsTogether) {
      const Pack p = *reinterpret_cast<const Pack*>(x + row * n + column);
#pragma unroll
      for (int e = 0; e < W; ++e) total[e] += wide(p.e[e]);
    }
  }
#pragma unroll
  for (int e = 0; e < W; ++e) shared[threadIdx.y][threadIdx.x * W + e] = total[e];
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.y) * kWarp + threadIdx.x; i < kColumns; i += kWarp * kRowsTogether) {
    const int to = blockIdx.x * kColumns + i;
    if (to >= n) continue;
    T sum = shared[0][i];
#pragma unroll
    for (int r = 1; r < kRowsTogether; ++r) sum += shared[r][i];
    partial[int64_t{blockIdx.y} * n + to] = sum;
  }
}

template <class X, class T>
cudaError_t launch(const ColumnSumsArguments& a) {
  constexpr int kWide = 16 / sizeof(X);
  const int n = static_cast<int>(a.n), blocks = column_sum_blocks(a.rows, a.n);
  const auto run = [&](auto width) {
    constexpr int W = decltype(width)::value;
    const dim3 grid((n + kWarp * W - 1) / (kWarp * W), blocks);
    part_kernel<X, T, W>
        <<<grid, dim3(kWarp, kRowsTogether), 0, a.stream>>>(static_cast<const X*>(a.x), a.rows, n, static_cast<T*>(a.partial));
  };
  if (n % kWide == 0 && reinterpret_cast<uintptr_t>(a.x) % 16 == 0) run(std::integral_constant<int, kWide>());
  else run(std::integral_constant<int, 1>());
  launch_sum_blocks<T>(a.partial, blocks, n, n, a.out, a.stream);
  return cudaGetLastError();
}

}  // namespace

// Depends on the shape alone, so that the order of summation does too.
int column_sum_blocks(int64_t rows, int64_t n) {
  const int64_t across = (n + 255) / 256, wanted = (kBlocks + across - 1) / across, most = (rows + kFewestRows - 1) / kFewestRows;
  return static_cast<int>(most < 1 ? 1 : most < wanted ? most : wanted);
}

cudaError_t column_sums(const ColumnSumsArguments& a, Numbers numbers) {
  if (numbers == Numbers::f64) return launch<double, double>(a);
  return numbers == Numbers::bf16 ? launch<__nv_bfloat16, float>(a) : launch<float, float>(a);
}

}  // namespace assay::ops
