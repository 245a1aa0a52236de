#pragma once
#include <algorithm>
#include <optional>

#include "assay/ops/banded_product/banded_product.h"

namespace assay::ops {

// A band as blocks of R neighbouring rows, each over a window of `width` columns that moves by `step` from block to block and stops at
// both ends of a row: runs of blocks are batches of equal dense products over overlapping views of x. None where rows or step come out
// broken, or where a window is the whole row.
struct BandWindows {
  int64_t rows = 0, blocks = 0, width = 0, step = 0;
  int64_t before = 0;  // columns by which a window begins ahead of its block's first centre
  int64_t last = 0;    // where the last window begins

  static std::optional<BandWindows> of(const Band& band);
  int64_t begin(int64_t block) const { return std::clamp<int64_t>(block * step - before, 0, last); }
  double entries() const { return static_cast<double>(blocks * rows * width); }  // that are multiplied

  // Blocks [first, first + count) whose windows begin `step` columns (or none) after one another.
  struct Run {
    int64_t first = 0, count = 0, begin = 0, step = 0;
  };
  std::vector<Run> runs() const;
};

// The matrix [out, in] of packed weights; differentiable.
Tensor banded_matrix(const Tensor& values, const Band& band);

// banded_product and its gradients by windows, on any device, in the dtype of x or with operands in bf16. Where there are no windows the
// band is expanded to a matrix. Inputs as those of banded_product, checked by the caller.
Tensor banded_product_by_windows(const Tensor& x, const Tensor& values, int64_t out, int64_t bandwidth, bool bf16);
BandedProductGrads banded_gradients_by_windows(const Tensor& grad, const Tensor& x, const Tensor& values, int64_t out, int64_t bandwidth,
                                               bool bf16);

}  // namespace assay::ops
