#pragma once
#include <cstdint>
#include <vector>

namespace assay::ops {

// The entries (j, i) of an out x in matrix near its diagonal: with wide = max(out, in) and narrow = min(out, in),
//   2 |j in - i out| <= bandwidth narrow,
// so that the bandwidth counts columns or rows of the wide side; equality is inside, odd bandwidths are allowed [components 2.1].
struct Band {
  int64_t out = 0, in = 0, bandwidth = 0;

  struct Interval {
    int64_t first = 0, end = 0;  // columns [first, end) of a row; empty where end <= first
    int64_t size() const { return end > first ? end - first : 0; }
  };
  Interval row(int64_t j) const;
  int64_t count() const;  // entries inside
  double density() const { return static_cast<double>(count()) / static_cast<double>(out * in); }
  // Offset of each row's first entry where rows are stored one after the other; out + 1 numbers, the last is count().
  std::vector<int64_t> offsets() const;
};

}  // namespace assay::ops
