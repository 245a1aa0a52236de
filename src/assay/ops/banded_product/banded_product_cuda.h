#pragma once
// Launchers of the band's kernels over raw pointers; no torch type. Activations are bfloat16, weights and their gradient float32, sums float32.
#include <cuda_runtime_api.h>

#include <cstdint>

#include "assay/ops/banded_product/band_rows.h"

namespace assay::ops {

// Whether the kernels take a band on the current device, and are faster there than the other ways.
bool covers(const Band& band, const BandExtent& extent);

// y[n, o] = sum_k M[o, k] x[n, k] with M the stored matrix W (y of x) or its transpose (dx of g).
struct BandedProductArguments {
  const void* x;           // [N, inputs]
  const float* values;     // packed rows of W
  void* y;                 // [N, outputs]
  void* packed;            // [packed_weights(outputs, window)] numbers of bfloat16
  const BandRow* rows;     // of W
  const BandRow* outputs;  // of M
  int64_t N, inputs, out;  // `out` of M
  int64_t window;          // of M
  bool transposed;
  cudaStream_t stream;
};
int64_t packed_weights(int64_t outputs, int64_t window);
cudaError_t banded_product(const BandedProductArguments& a);

// dW[j, i] = sum_n g[n, j] x[n, i] inside the band.
struct BandedGradientArguments {
  const void *g, *x;       // [N, out], [N, in]
  float* dvalues;          // [count]
  float* partial;          // [shares, count] where there is more than one
  const BandRow* rows;     // of W
  const BandRow* columns;  // of its transpose
  int64_t N, out, in, count, shares;
  int64_t narrow_window;
  cudaStream_t stream;
};
int64_t gradient_shares(int64_t N, int64_t out, int64_t in, const BandExtent& extent);

// Both gradients; `product` is that of the transpose.
cudaError_t banded_backward(const BandedProductArguments& product, const BandedGradientArguments& gradient);

// Parts of the above, each in a file of its own.
cudaError_t pack_weights(const BandedProductArguments& a);
cudaError_t banded_product_of_packed(const BandedProductArguments& a);
cudaError_t banded_gradient(const BandedGradientArguments& a);
cudaError_t add_gradient_shares(const BandedGradientArguments& a);
bool gradient_fits();  // the current device has the shared memory

}  // namespace assay::ops
