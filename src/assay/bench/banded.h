#pragma once
#include "assay/train/run_config.h"

namespace assay::bench {

struct BandedOptions {
  train::TrainConfig machine;  // device, precision, threads, product
  int64_t width = 1024;        // C
  int64_t tokens = 0;          // 0: 16384 on CUDA, 2048 on the CPU
};

// The banded product of an MLP's two matrices (C -> 4C and 4C -> C), forward and backward, from a narrow band to nearly the whole matrix,
// beside the dense product through tensor::linear: {"name", "device", "dtype", "threads", "product_backend", "tokens", "width",
// "copy_gb_per_s", "matrices": [{"matrix", "out", "in", "dense_ms", "dense_gflops", "crossover_density", "bands": [{"bandwidth",
// "density", "tile_density", "ms", "spread_ms", "tile_ms", "byte_ms", "floor_ms", "floor_fraction", "speedup"}]}]}.
//   tile_ms: the arithmetic of the blocks that are multiplied (tile_density of the matrix) at dense_gflops, the rate of the dense product
//   byte_ms: the operands and results of the three products (y; dx; dW), each once, at the copy's rate
//   floor_ms: the larger of both;  floor_fraction: floor_ms / ms;  speedup: dense_ms / ms
//   crossover_density: where ms passes dense_ms, interpolated between neighbours; 1 where it never does
// Figures are given only where the result and both gradients agree with the product by the expanded matrix.
core::Value bench_banded(const BandedOptions& options);

}  // namespace assay::bench
