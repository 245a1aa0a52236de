#include "assay/ops/banded_product/band_rows.h"

#include <algorithm>

namespace assay::ops {
namespace {

// The longest interval of `group` neighbouring rows, which begins at a multiple of `aligned` columns.
int64_t longest(const Band& band, int64_t group, int64_t aligned) {
  int64_t most = 0;
  for (int64_t j = 0; j < band.out; j += group) {
    const int64_t begin = band.row(j).first / aligned * aligned;
    most = std::max(most, band.row(std::min(j + group, band.out) - 1).end - begin);
  }
  return (most + aligned - 1) / aligned * aligned;
}

}  // namespace

std::vector<BandRow> band_rows(const Band& band) {
  std::vector<BandRow> rows;
  int64_t offset = 0;
  for (int64_t j = 0; j < band.out; ++j) {
    const Band::Interval row = band.row(j);
    rows.push_back({static_cast<int32_t>(row.first), static_cast<int32_t>(row.end), static_cast<int32_t>(offset - row.first)});
    offset += row.size();
  }
  return rows;
}

BandExtent::BandExtent(const Band& band) {
  const Band turned{band.in, band.out, band.bandwidth};
  count = band.count();
  window = longest(band, kOutputGroup, 16);
  transposed_window = longest(turned, kOutputGroup, 16);
  narrow_window = longest(band.out >= band.in ? band : turned, kWideTile, 8);
}

}  // namespace assay::ops
