#pragma once
#include <tuple>

#include "assay/ops/banded_product/band.h"
#include "assay/tensor/aten.h"

namespace assay::ops {

// A linear map whose matrix is a band, of which nothing outside exists: not in the weights, not in their gradient, not in moments.
//
//   y[n, j] = sum_{i in band(j)} W[j, i] x[n, i],      band(j) = Band{out, in, bandwidth}.row(j)
//
// x [N, in]; values [Band::count()], the rows of W one after the other; result [N, out]. float32 or float64, x of any strides; on CUDA x
// may be bfloat16 beside float32 values, and so is the result then. With bf16 = true, and with such an x, the operands of the products are
// rounded to bf16 and summed in float32. Saved for backward: the inputs. Differentiable once; a second derivative is refused with a
// message. Only blocks that the band touches are computed, on CUDA where their windows move evenly (banded_windows.h), else the band is
// expanded to a matrix first.
Tensor banded_product(const Tensor& x, const Tensor& values, int64_t out, int64_t bandwidth, bool bf16 = false);

// Gradients of (x, values) for an upstream `grad` [N, out]:  dx[n, i] = sum_j g[n, j] W[j, i],  dW[j, i] = sum_n g[n, j] x[n, i] in the
// band.
using BandedProductGrads = std::tuple<Tensor, Tensor>;
BandedProductGrads banded_product_backward(const Tensor& grad, const Tensor& x, const Tensor& values, int64_t out, int64_t bandwidth,
                                           bool bf16);

// Ground truth, in ordinary differentiable ATen over the whole matrix; never registered with the dispatcher.
Tensor banded_product_reference(const Tensor& x, const Tensor& values, int64_t out, int64_t bandwidth);

// Shapes and dtypes as above, else c10::Error that begins with [banded_product].
void check_banded_product(const Tensor& x, const Tensor& values, int64_t out, int64_t bandwidth);

// An upstream gradient of shape [N, out] on x's device, else c10::Error.
void check_banded_gradient(const Tensor& grad, const Tensor& x, int64_t out);

// Places of the band's entries in the flat out x in matrix, int64 [count], on the CPU.
Tensor band_positions(const Band& band);

}  // namespace assay::ops
