#pragma once
#include <optional>

#include "assay/ops/banded_product/banded_product.h"

namespace assay::ops {

// A band as blocks of R neighbouring rows, each over a window of `width` columns that moves by `step` from block to block: all blocks are one
// batch of equal dense products over overlapping views of x. None where rows or step come out broken, or where a window is the whole row.
struct BandWindows {
  int64_t rows = 0, blocks = 0, width = 0, step = 0;
  int64_t before = 0, after = 0;  // columns of zeros around x, so that every window lies inside

  static std::optional<BandWindows> of(const Band& band);
  int64_t padded(int64_t in) const { return before + in + after; }
};

// banded_product and its gradients by windows, on any device, in the dtype of x or with operands in bf16. Where there are no windows the band is
// expanded to a matrix. Inputs as those of banded_product, checked by the caller.
Tensor banded_product_by_windows(const Tensor& x, const Tensor& values, int64_t out, int64_t bandwidth, bool bf16);
BandedProductGrads banded_gradients_by_windows(const Tensor& grad, const Tensor& x, const Tensor& values, int64_t out, int64_t bandwidth,
                                               bool bf16);

}  // namespace assay::ops
