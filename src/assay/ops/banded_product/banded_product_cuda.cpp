// bfloat16 activations by the band's own kernels where these cover the band; all else by windows.
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include <cstring>

#include "assay/ops/banded_product/band_tables.h"
#include "assay/ops/banded_product/banded_product_cuda.h"
#include "assay/ops/banded_product/banded_windows.h"

namespace assay::ops {
namespace {

struct Tables {
  BandExtent extent;
  Tensor rows, columns;  // BandRow of the matrix and of its transpose, in bytes

  const BandRow* of_rows() const { return reinterpret_cast<const BandRow*>(rows.const_data_ptr<uint8_t>()); }
  const BandRow* of_columns() const { return reinterpret_cast<const BandRow*>(columns.const_data_ptr<uint8_t>()); }
};

Tensor table_on(const Band& band, const at::Device& device) {
  const std::vector<BandRow> rows = band_rows(band);
  const Tensor table = at::empty({static_cast<int64_t>(rows.size() * sizeof(BandRow))}, at::TensorOptions().dtype(at::kByte));
  std::memcpy(table.mutable_data_ptr<uint8_t>(), rows.data(), rows.size() * sizeof(BandRow));
  return table.to(device);
}

const Tables& tables_of(const Band& band, const at::Device& device) {
  static BandTables<Tables> tables;
  return tables.of(band, device,
                   [&] { return Tables{BandExtent(band), table_on(band, device), table_on({band.in, band.out, band.bandwidth}, device)}; });
}

bool aligned(const Tensor& t) { return reinterpret_cast<uintptr_t>(t.const_data_ptr()) % 16 == 0; }

constexpr int64_t kMostRows = int64_t{1} << 30;  // counted in 32 bits

bool by_kernels(const Tensor& x, const Band& band) {
  return x.scalar_type() == at::kBFloat16 && x.size(0) > 0 && x.size(0) <= kMostRows && covers(band, tables_of(band, x.device()).extent);
}

void check(cudaError_t error) { TORCH_CHECK(error == cudaSuccess, "[banded_product] CUDA launch failed: ", cudaGetErrorString(error)); }

// Of x M^T into y, where M is the matrix of `values` or its transpose; `packed` is memory for M's weights.
BandedProductArguments arguments(const Tensor& x, const Tensor& values, const Tensor& y, const Tensor& packed, const Tables& t,
                                 bool transposed) {
  return {x.const_data_ptr(),
          values.const_data_ptr<float>(),
          y.mutable_data_ptr(),
          packed.mutable_data_ptr(),
          t.of_rows(),
          transposed ? t.of_columns() : t.of_rows(),
          x.size(0),
          x.size(1),
          y.size(1),
          transposed ? t.extent.transposed_window : t.extent.window,
          transposed,
          c10::cuda::getCurrentCUDAStream()};
}

Tensor product(const Tensor& x, const Tensor& values, const Band& band, const Tables& t) {
  const Tensor y = at::empty({x.size(0), band.out}, x.options()),
               packed = at::empty({packed_weights(band.out, t.extent.window)}, x.options());
  check(banded_product(arguments(x, values, y, packed, t, false)));
  return y;
}

BandedProductGrads gradients(const Tensor& g, const Tensor& x, const Tensor& values, const Band& band, const Tables& t) {
  const int64_t shares = gradient_shares(x.size(0), band.out, band.in, t.extent);
  const Tensor dx = at::empty(x.sizes(), x.options()),
               packed = at::empty({packed_weights(band.in, t.extent.transposed_window)}, x.options());
  const Tensor dvalues = at::empty(values.sizes(), values.options()),
               partial = at::empty({shares > 1 ? shares : 0, values.size(0)}, values.options());
  check(banded_backward(
      arguments(g, values, dx, packed, t, true),
      {g.const_data_ptr(), x.const_data_ptr(), dvalues.mutable_data_ptr<float>(), partial.mutable_data_ptr<float>(), t.of_rows(),
       t.of_columns(), x.size(0), band.out, band.in, values.size(0), shares, t.extent.narrow_window, c10::cuda::getCurrentCUDAStream()}));
  return {dx, dvalues};
}

Tensor banded_product_cuda(const Tensor& given, const Tensor& given_values, int64_t out, int64_t bandwidth, bool bf16) {
  check_banded_product(given, given_values, out, bandwidth);
  const c10::cuda::CUDAGuard guard(given.device());
  const Band band{out, given.size(1), bandwidth};
  if (by_kernels(given, band)) {
    const Tensor x = given.contiguous(), values = given_values.contiguous();
    if (aligned(x)) return product(x, values, band, tables_of(band, x.device()));
  }
  return banded_product_by_windows(given, given_values, out, bandwidth, bf16);
}

BandedProductGrads banded_product_backward_cuda(const Tensor& given_grad, const Tensor& given, const Tensor& given_values, int64_t out,
                                                int64_t bandwidth, bool bf16) {
  check_banded_product(given, given_values, out, bandwidth);
  check_banded_gradient(given_grad, given, out);
  const c10::cuda::CUDAGuard guard(given.device());
  const Band band{out, given.size(1), bandwidth};
  if (by_kernels(given, band)) {
    const Tensor g = given_grad.to(given.scalar_type()).contiguous(), x = given.contiguous(), values = given_values.contiguous();
    const Tables& t = tables_of(band, x.device());
    if (aligned(x) && aligned(g)) return gradients(g, x, values, band, t);
  }
  return banded_gradients_by_windows(given_grad, given, given_values, out, bandwidth, bf16);
}

}  // namespace

TORCH_LIBRARY_IMPL(assay, CUDA, m) {
  m.impl("banded_product", banded_product_cuda);
  m.impl("banded_product_backward", banded_product_backward_cuda);
}

}  // namespace assay::ops
