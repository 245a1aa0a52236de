#include "assay/ops/banded_product/band_blocks.h"

#include <algorithm>

namespace assay::ops {

std::vector<BandBlock> band_blocks(const Band& band) {
  const bool turned = band.in > band.out;
  const Band wide = turned ? Band{band.in, band.out, band.bandwidth} : band;
  std::vector<BandBlock> blocks;
  for (int64_t row = 0; row < wide.out; row += kBlockWidth) {
    BandBlock b{row, std::min(kBlockWidth, wide.out - row), wide.in, 0};
    int64_t end = 0;
    for (int64_t j = row; j < row + b.rows; ++j) {
      const Band::Interval interval = wide.row(j);
      if (interval.size() == 0) continue;
      b.column = std::min(b.column, interval.first);
      end = std::max(end, interval.end);
    }
    if (end == 0) continue;
    b.columns = end - b.column;
    blocks.push_back(turned ? BandBlock{b.column, b.columns, b.row, b.rows} : b);
  }
  return blocks;
}

}  // namespace assay::ops
