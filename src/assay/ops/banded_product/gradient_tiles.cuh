#pragma once
// dW of a band: a block owns a tile of the band, kWideTile of the wide side by part of the window that these see, and sums it over its share of the rows.
// Only entries inside the band are stored.
#include "assay/ops/banded_product/banded_product_cuda.h"
#include "assay/ops/banded_product/tensor_core_tiles.cuh"

namespace assay::ops {

inline constexpr int kWarpsWide = 4, kWarpsNarrow = 2, kGradientThreads = 32 * kWarpsWide * kWarpsNarrow;

// NARROW columns of the narrow side, pieces of ROWS rows, STAGES of them in shared memory.
template <int NARROW, int ROWS, int STAGES, int BLOCKS>
struct GradientShape {
  static constexpr int kNarrow = NARROW, kRows = ROWS, kStages = STAGES, kBlocks = BLOCKS, kWarpWide = kWideTile / kWarpsWide,
                       kWarpNarrow = NARROW / kWarpsNarrow, kWidePitch = kWideTile + kRowPadding, kNarrowPitch = NARROW + kRowPadding,
                       kWideBytes = ROWS * kWidePitch * 2, kStageBytes = kWideBytes + ROWS * kNarrowPitch * 2,
                       kBytes = STAGES * kStageBytes;
};

// The part of one block: a tile of the band, and pieces share, share + shares, ... of the rows, whose sum goes to to[count].
template <class S, bool ROWS_WIDE>
__device__ void gradient_part(const BandedGradientArguments& a, unsigned char* memory, int tile_wide, int tile_narrow, int share,
                              int shares, float* to) {
  const int wide = static_cast<int>(ROWS_WIDE ? a.out : a.in), narrow = static_cast<int>(ROWS_WIDE ? a.in : a.out);
  const BandRow* seen = ROWS_WIDE ? a.rows : a.columns;  // by the wide side
  const int wide_first = tile_wide * static_cast<int>(kWideTile), last = min(wide_first + int{kWideTile}, wide) - 1;
  const int narrow_first = (seen[wide_first].first & ~7) + tile_narrow * S::kNarrow;
  if (narrow_first >= seen[last].end) return;
  const int N = static_cast<int>(a.N), pieces = (N - 1) / S::kRows + 1;
  const TileCopy<S::kRows, kWideTile, kGradientThreads> copy_wide(ROWS_WIDE ? a.g : a.x, N, wide);
  const TileCopy<S::kRows, S::kNarrow, kGradientThreads> copy_narrow(ROWS_WIDE ? a.x : a.g, N, narrow);

  const uint32_t stages = shared_address(memory);
  int load_piece = share, load_stage = 0;
  const auto load_next = [&] {
    if (load_piece < pieces) {
      const int row = load_piece * S::kRows;
      const uint32_t to_stage = stages + load_stage * S::kStageBytes;
      copy_wide(to_stage, row, wide_first);
      copy_narrow(to_stage + S::kWideBytes, row, narrow_first);
      load_piece += shares;
    }
    __syncwarp();
    if (++load_stage == S::kStages) load_stage = 0;
    end_group();
  };
  for (int s = 0; s < S::kStages - 1; ++s) load_next();

  // Both operands lie by rows n, the index of summation: they are loaded transposed. Matrices of the wide one are (n, w), (n, w + 8), (n + 8, w),
  // (n + 8, w + 8), of the narrow one (n, v), (n + 8, v), (n, v + 8), (n + 8, v + 8).
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, warp_w = warp % kWarpsWide, warp_v = warp / kWarpsWide;
  const uint32_t wide_lane = kept(((lane / 16 * 8 + lane % 8) * S::kWidePitch + warp_w * S::kWarpWide + lane / 8 % 2 * 8) * 2);
  const uint32_t narrow_lane =
      kept(S::kWideBytes + ((lane / 8 % 2 * 8 + lane % 8) * S::kNarrowPitch + warp_v * S::kWarpNarrow + lane / 16 * 8) * 2);
  constexpr int kTilesW = S::kWarpWide / 16, kPairsV = S::kWarpNarrow / 16;
  float sums[kTilesW][kPairsV * 2][4] = {};
  int stage = 0;
  for (int piece = share; piece < pieces; piece += shares) {
    wait_groups<S::kStages - 2>();
    __syncthreads();
    load_next();  // into the stage that all warps have left
    const uint32_t at = stages + stage * S::kStageBytes;
#pragma unroll
    for (int n = 0; n < S::kRows; n += 16) {
      uint32_t w[kTilesW][4];
#pragma unroll
      for (int m = 0; m < kTilesW; ++m) load_transposed(w[m], at + wide_lane + (n * S::kWidePitch + m * 16) * 2);
#pragma unroll
      for (int p = 0; p < kPairsV; ++p) {
        uint32_t v[4];
        load_transposed(v, at + narrow_lane + (n * S::kNarrowPitch + p * 16) * 2);
#pragma unroll
        for (int m = 0; m < kTilesW; ++m) {
          multiply_add(sums[m][2 * p], w[m], v[0], v[1]);
          multiply_add(sums[m][2 * p + 1], w[m], v[2], v[3]);
        }
      }
    }
    if (++stage == S::kStages) stage = 0;
  }
  wait_groups<0>();

  const auto store = [&](int w, int v, float sum) {
    const int j = ROWS_WIDE ? w : v, i = ROWS_WIDE ? v : w;
    if (w >= wide || v >= narrow) return;
    const BandRow row = a.rows[j];
    if (i >= row.first && i < row.end) to[row.place + i] = sum;
  };
#pragma unroll
  for (int m = 0; m < kTilesW; ++m) {
#pragma unroll
    for (int n = 0; n < kPairsV * 2; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e)
        store(wide_first + warp_w * S::kWarpWide + m * 16 + e / 2 * 8 + lane / 4,
              narrow_first + warp_v * S::kWarpNarrow + n * 8 + lane % 4 * 2 + e % 2, sums[m][n][e]);
    }
  }
}

// The shapes in use.
using GradientOfWindow = GradientShape<96, 32, 4, 2>;
using GradientOfNarrowWindow = GradientShape<64, 32, 4, 2>;

// Columns of the narrow side in a tile: the width that leaves least outside of the window, of equals the larger.
inline int64_t gradient_tile_of(int64_t window) {
  const auto all = [&](int64_t width) { return (window + width - 1) / width * width; };
  return all(GradientOfNarrowWindow::kNarrow) < all(GradientOfWindow::kNarrow) ? GradientOfNarrowWindow::kNarrow
                                                                               : GradientOfWindow::kNarrow;
}
inline int64_t gradient_tiles(int64_t out, int64_t in, int64_t window) {
  const int64_t wide = out > in ? out : in, width = gradient_tile_of(window);
  return (wide + kWideTile - 1) / kWideTile * ((window + width - 1) / width);
}

}  // namespace assay::ops
