#pragma once
// What the CUDA kernels need to know of a band: tables of its rows and lengths of its windows. No CUDA and no torch type.
#include "assay/ops/banded_product/band.h"

namespace assay::ops {

// A row of a band in a table on the device: its columns [first, end); packed weight (j, i) lies at place + i, by the rows of the stored matrix.
struct alignas(16) BandRow {
  int32_t first, end, place;
};
std::vector<BandRow> band_rows(const Band& band);

inline constexpr int64_t kOutputGroup = 32;  // neighbouring outputs that a warp computes, which share a window of inputs
inline constexpr int64_t kWideTile = 128;    // neighbours of the wide side in a tile of the weight gradient

// Lengths of the longest windows, and the number of entries.
struct BandExtent {
  int64_t count = 0;
  int64_t window = 0, transposed_window = 0;  // of kOutputGroup outputs of the matrix, and of its transpose; multiples of 16
  int64_t narrow_window = 0;                  // of kWideTile neighbours of the wide side; a multiple of 8

  explicit BandExtent(const Band& band);
};

}  // namespace assay::ops
