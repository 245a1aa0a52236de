#pragma once
#include "assay/ops/banded_product/band.h"

namespace assay::ops {

// A part of the matrix, W[row .. row + rows, column .. column + columns].
struct BandBlock {
  int64_t row = 0, rows = 0, column = 0, columns = 0;
  double entries() const { return static_cast<double>(rows * columns); }
};

// wide/narrow neighbours share a partner, so that a block's interval is hardly longer than one neighbour's.
inline constexpr int64_t kBlockWidth = 64;

// The band as blocks of kBlockWidth neighbours of the wide side (rows where out >= in, else columns) with the interval of the narrow side
// that any of them sees. Every entry lies in one block; a block without an entry is left out.
std::vector<BandBlock> band_blocks(const Band& band);

}  // namespace assay::ops
