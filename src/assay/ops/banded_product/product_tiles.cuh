#pragma once
// y = x M^T for a band M. A block owns neighbouring outputs, keeps their weights in shared memory and walks over tiles of rows of x, of which it copies the
// columns that its outputs see, piece by piece and ahead of the products. A warp computes 32 outputs and leaves out the pieces that these do not see.
#include "assay/ops/banded_product/banded_product_cuda.h"
#include "assay/ops/banded_product/tensor_core_tiles.cuh"

namespace assay::ops {

inline constexpr int kGroup = kOutputGroup;
inline constexpr int kStep = 16;  // k of one instruction

// Where output o of a group stands among the group's rows of packed weights: so that a lane's eight sums of a row of y are neighbours (16 bytes).
__host__ __device__ constexpr int position(int o) { return o % 8 / 2 * 8 + o / 8 * 2 + o % 2; }

__device__ inline int window_begin(const BandRow& r) { return r.first & ~(kStep - 1); }

// Tiles of ROWS rows by WN * 32 outputs, WM x WN warps; pieces of K columns, of which STAGES are in shared memory; BLOCKS of them on a multiprocessor.
template <int ROWS, int WM, int WN, int K, int STAGES, int BLOCKS>
struct ProductShape {
  static constexpr int kRows = ROWS, kWarpsN = WN, kOutputs = WN * kGroup, kThreads = WM * WN * 32, kPiece = K, kStages = STAGES,
                       kBlocks = BLOCKS, kWarpRows = ROWS / WM, kTiles = kWarpRows / 16, kPitch = K + kRowPadding,
                       kStageBytes = ROWS * kPitch * 2;
  static int64_t weight_bytes(int64_t window) { return kOutputs * (window + kRowPadding) * 2; }
  static int64_t bytes(int64_t window) { return weight_bytes(window) + STAGES * kStageBytes; }
};

// The part of one block: outputs from column * kOutputs on; tiles share, share + shares, ...
template <class S>
__device__ void product_part(const BandedProductArguments& a, unsigned char* memory, int column, int share, int shares) {
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, warp_m = warp / S::kWarpsN, warp_n = warp % S::kWarpsN;
  const int out = static_cast<int>(a.out), inputs = static_cast<int>(a.inputs), first = column * S::kOutputs;
  const int begin = window_begin(a.outputs[first]), end = a.outputs[min(first + S::kOutputs, out) - 1].end;
  const int pieces = end > begin ? (end - begin + S::kPiece - 1) / S::kPiece : 1;
  const int N = static_cast<int>(a.N), tiles = (N - 1) / S::kRows + 1;

  // The warp's outputs and the steps of k that they see.
  const int own = first + warp_n * kGroup;
  int own_step = 0, steps = 0;
  if (own < out) {
    const int own_begin = window_begin(a.outputs[own]), own_end = a.outputs[min(own + kGroup, out) - 1].end;
    own_step = (own_begin - begin) / kStep;
    steps = max(0, (own_end - own_begin + kStep - 1) / kStep);
  }

  const int pitch = static_cast<int>(a.window) + kRowPadding;
  const uint32_t weights = shared_address(memory), stages = weights + S::kOutputs * pitch * 2;
  const TileCopy<S::kRows, S::kPiece, S::kThreads> copy(a.x, N, inputs);

  int load_tile = share, load_piece = 0, load_stage = 0;
  const auto load_next = [&] {
    if (load_tile < tiles) {
      copy(stages + load_stage * S::kStageBytes, load_tile * S::kRows, begin + load_piece * S::kPiece);
      if (++load_piece == pieces) {
        load_piece = 0;
        load_tile += shares;
      }
    }
    __syncwarp();
    if (++load_stage == S::kStages) load_stage = 0;
    end_group();
  };

  {  // The weights belong to the first group.
    const int vectors = S::kOutputs * pitch / 8;
    const uint4* from = static_cast<const uint4*>(a.packed) + int64_t{column} * vectors;
    for (int v = threadIdx.x; v < vectors; v += S::kThreads) copy_16(weights + v * 16, from + v, true);
    __syncwarp();
  }
  for (int s = 0; s < S::kStages - 1; ++s) load_next();

  // ldmatrix: matrices of x are (rows, k), (rows + 8, k), (rows, k + 8), (rows + 8, k + 8); of W (outputs, k), (outputs, k + 8), then eight outputs on.
  const uint32_t x_lane = kept(stages + ((warp_m * S::kWarpRows + lane % 16) * S::kPitch + lane / 16 * 8) * 2);
  const uint32_t w_lane = kept(weights + ((warp_n * kGroup + lane / 16 * 8 + lane % 8) * pitch + lane / 8 % 2 * 8) * 2);

  float sums[S::kTiles][4][4] = {};
  int piece = 0, stage = 0;
  for (int tile = share; tile < tiles;) {
    wait_groups<S::kStages - 2>();
    __syncthreads();
    load_next();  // into the stage that all warps have left
    const uint32_t x_stage = x_lane + stage * S::kStageBytes;
    constexpr int kSteps = S::kPiece / kStep;
    const int step = piece * kSteps - own_step;  // the piece's first, of those that the warp's outputs see
    const auto multiply = [&](int s) {
      uint32_t w[2][4];
      load_matrices(w[0], w_lane + (step + s) * kStep * 2);
      load_matrices(w[1], w_lane + (16 * pitch + (step + s) * kStep) * 2);
#pragma unroll
      for (int m = 0; m < S::kTiles; ++m) {
        uint32_t rows[4];
        load_matrices(rows, x_stage + (m * 16 * S::kPitch + s * kStep) * 2);
#pragma unroll
        for (int n = 0; n < 4; ++n) multiply_add(sums[m][n], rows, w[n / 2][n % 2 * 2], w[n / 2][n % 2 * 2 + 1]);
      }
    };
    if (step >= 0 && step + kSteps <= steps) {
#pragma unroll
      for (int s = 0; s < kSteps; ++s) multiply(s);
    } else if (step + kSteps > 0 && step < steps) {
#pragma unroll
      for (int s = 0; s < kSteps; ++s)
        if (step + s >= 0 && step + s < steps) multiply(s);
    }
    __syncwarp();
    if (++stage == S::kStages) stage = 0;
    if (++piece < pieces) continue;
    piece = 0;
    const int eight_first = own + lane % 4 * 8, row = warp_m * S::kWarpRows + lane / 4;
    const int rows = eight_first < out ? N - tile * S::kRows - row : 0;
    __nv_bfloat16* to = static_cast<__nv_bfloat16*>(a.y) + int64_t{tile * S::kRows + row} * out + eight_first;
#pragma unroll
    for (int m = 0; m < S::kTiles; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        uint32_t pairs[4];
#pragma unroll
        for (int n = 0; n < 4; ++n) {
          pairs[n] = rounded_pair(sums[m][n][half * 2], sums[m][n][half * 2 + 1]);
          sums[m][n][half * 2] = sums[m][n][half * 2 + 1] = 0;
        }
        if (m * 16 + half * 8 < rows) store_16(to, pairs);
        to += 8 * out;
      }
    }
    tile += shares;
    __syncwarp();
  }
  wait_groups<0>();
}

// The shapes in use. What decides is the window: many inputs an output leave room for the weights of fewer outputs.
using ProductOfFewInputs = ProductShape<128, 4, 4, 96, 3, 1>;
using SharedProductOfFewInputs = ProductShape<64, 2, 4, 32, 6, 2>;  // beside blocks of another kind
using ProductOfSomeInputs = ProductShape<64, 2, 4, 96, 3, 2>;
using ProductOfMoreInputs = ProductShape<64, 2, 2, 64, 4, 3>;
using ProductOfManyInputs = ProductShape<128, 2, 4, 64, 3, 1>;
using ProductOfMostInputs = ProductShape<128, 4, 2, 64, 3, 2>;
inline constexpr int64_t kFewInputs = 128, kSomeInputs = 352, kMoreInputs = 480;  // windows up to which each serves

}  // namespace assay::ops
