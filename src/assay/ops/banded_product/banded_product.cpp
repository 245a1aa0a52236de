#include "assay/ops/banded_product/banded_product.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "assay/ops/banded_product/banded_windows.h"
#include "assay/tensor/first_order.h"

namespace assay::ops {

Tensor banded_product(const Tensor& x, const Tensor& values, int64_t out, int64_t bandwidth, bool bf16) {
  static const auto op = c10::Dispatcher::singleton().findSchemaOrThrow("assay::banded_product", "").typed<decltype(banded_product)>();
  return op.call(x, values, out, bandwidth, bf16);
}

BandedProductGrads banded_product_backward(const Tensor& grad, const Tensor& x, const Tensor& values, int64_t out, int64_t bandwidth,
                                           bool bf16) {
  static const auto op =
      c10::Dispatcher::singleton().findSchemaOrThrow("assay::banded_product_backward", "").typed<decltype(banded_product_backward)>();
  return op.call(grad, x, values, out, bandwidth, bf16);
}

Tensor band_positions(const Band& band) {
  Tensor at = at::empty({band.count()}, at::TensorOptions().dtype(at::kLong));
  int64_t* p = at.data_ptr<int64_t>();
  for (int64_t j = 0; j < band.out; ++j) {
    const Band::Interval row = band.row(j);
    for (int64_t i = row.first; i < row.end; ++i) *p++ = j * band.in + i;
  }
  return at;
}

Tensor banded_product_reference(const Tensor& x, const Tensor& values, int64_t out, int64_t bandwidth) {
  return x.matmul(banded_matrix(values, {out, x.size(1), bandwidth}).t());
}

void check_banded_product(const Tensor& x, const Tensor& values, int64_t out, int64_t bandwidth) {
  TORCH_CHECK(x.dim() == 2, "[banded_product] x must be [N, in], got ", x.sizes());
  TORCH_CHECK(out >= 1 && x.size(1) >= 1 && bandwidth >= 1, "[banded_product] out, in and bandwidth must be at least 1, got ", out, ", ",
              x.size(1), " and ", bandwidth);
  const int64_t count = Band{out, x.size(1), bandwidth}.count();
  TORCH_CHECK(values.dim() == 1 && values.size(0) == count, "[banded_product] values must be [", count, "] for a ", out, " x ", x.size(1),
              " band of width ", bandwidth, ", got ", values.sizes());
  const bool narrow = x.scalar_type() == at::kBFloat16 && x.is_cuda();  // activations between products; the weights stay float32
  TORCH_CHECK(narrow || x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble,
              "[banded_product] wants float32 or float64, on CUDA also bfloat16, got ", x.scalar_type());
  TORCH_CHECK(values.scalar_type() == (narrow ? at::kFloat : x.scalar_type()), "[banded_product] dtypes differ: ", values.scalar_type(),
              " beside ", x.scalar_type());
  TORCH_CHECK(values.device() == x.device(), "[banded_product] devices differ: ", values.device(), " beside ", x.device());
}

void check_banded_gradient(const Tensor& grad, const Tensor& x, int64_t out) {
  TORCH_CHECK(grad.dim() == 2 && grad.size(0) == x.size(0) && grad.size(1) == out && grad.device() == x.device(),
              "[banded_product] the gradient must be [", x.size(0), ", ", out, "] on ", x.device(), ", got ", grad.sizes(), " on ",
              grad.device());
}

namespace {
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct BandedProduct : torch::autograd::Function<BandedProduct> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& values, int64_t out, int64_t bandwidth, bool bf16) {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    ctx->save_for_backward({x, values});
    ctx->saved_data["out"] = out;
    ctx->saved_data["bandwidth"] = bandwidth;
    ctx->saved_data["bf16"] = bf16;
    return banded_product(x, values, out, bandwidth, bf16);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& g) {
    const variable_list s = ctx->get_saved_variables();
    auto [dx, dvalues] = banded_product_backward(g[0], s[0], s[1], ctx->saved_data["out"].toInt(), ctx->saved_data["bandwidth"].toInt(),
                                                 ctx->saved_data["bf16"].toBool());
    return {dx, dvalues, Tensor(), Tensor(), Tensor()};
  }
};

Tensor with_gradient(const Tensor& x, const Tensor& values, int64_t out, int64_t bandwidth, bool bf16) {
  return BandedProduct::apply(x, values, out, bandwidth, bf16);
}

BandedProductGrads without_second(const Tensor& grad, const Tensor& x, const Tensor& values, int64_t out, int64_t bandwidth, bool bf16) {
  const tensor::FirstOrderOnly once("banded_product", {grad, x, values});
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  return banded_product_backward(grad, x, values, out, bandwidth, bf16);
}

Tensor result_shape(const Tensor& x, const Tensor& values, int64_t out, int64_t bandwidth, bool) {
  check_banded_product(x, values, out, bandwidth);
  return at::empty({x.size(0), out}, x.options());
}

BandedProductGrads gradient_shapes(const Tensor& grad, const Tensor& x, const Tensor& values, int64_t out, int64_t bandwidth, bool) {
  check_banded_product(x, values, out, bandwidth);
  check_banded_gradient(grad, x, out);
  return {at::empty(x.sizes(), x.options()), at::empty_like(values)};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(assay, m) {
  m.def("banded_product(Tensor x, Tensor values, int out, int bandwidth, bool bf16=False) -> Tensor");
  m.def("banded_product_backward(Tensor grad, Tensor x, Tensor values, int out, int bandwidth, bool bf16) -> (Tensor, Tensor)");
}
TORCH_LIBRARY_IMPL(assay, Autograd, m) {
  m.impl("banded_product", with_gradient);
  m.impl("banded_product_backward", without_second);
}
TORCH_LIBRARY_IMPL(assay, Meta, m) {
  m.impl("banded_product", result_shape);
  m.impl("banded_product_backward", gradient_shapes);
}

}  // namespace assay::ops
