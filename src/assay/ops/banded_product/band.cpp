#include "assay/ops/banded_product/band.h"

#include <algorithm>

namespace assay::ops {
namespace {

int64_t floor_of(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }  // of a / b for b > 0

}  // namespace

Band::Interval Band::row(int64_t j) const {
  const int64_t centre = 2 * j * in, reach = bandwidth * std::min(out, in), step = 2 * out;
  return {std::max<int64_t>(0, -floor_of(reach - centre, step)), std::min(in, floor_of(centre + reach, step) + 1)};
}

int64_t Band::count() const { return offsets().back(); }

std::vector<int64_t> Band::offsets() const {
  std::vector<int64_t> at{0};
  for (int64_t j = 0; j < out; ++j) at.push_back(at.back() + row(j).size());
  return at;
}

}  // namespace assay::ops
