#include "assay/ops/column_sums/column_sums.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

namespace assay::ops {
namespace {

Tensor shape(const Tensor& x) {
  check_column_sums(x);
  return at::empty({x.size(1)}, x.options().dtype(x.scalar_type() == at::kBFloat16 ? at::kFloat : x.scalar_type()));
}

struct ColumnSums : torch::autograd::Function<ColumnSums> {
  static Tensor forward(torch::autograd::AutogradContext* ctx, const Tensor& x) {
    const at::AutoDispatchBelowADInplaceOrView below;
    ctx->saved_data["rows"] = x.size(0);
    ctx->saved_data["type"] = static_cast<int64_t>(x.scalar_type());
    return column_sums(x);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx, const torch::autograd::variable_list& g) {
    const auto type = static_cast<at::ScalarType>(ctx->saved_data["type"].toInt());
    return {g[0].to(type).unsqueeze(0).expand({ctx->saved_data["rows"].toInt(), g[0].size(0)})};
  }
};

Tensor differentiable(const Tensor& x) { return ColumnSums::apply(x); }

}  // namespace

Tensor column_sums(const Tensor& x) {
  static const auto op = c10::Dispatcher::singleton().findSchemaOrThrow("assay::column_sums", "").typed<ColumnSumsOp>();
  return op.call(x);
}

void check_column_sums(const Tensor& x) {
  TORCH_CHECK(x.dim() == 2 && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble || x.scalar_type() == at::kBFloat16),
              "[column_sums] x must be [N, n] float32, float64 or bfloat16, got ", x.scalar_type(), " ", x.sizes());
}

TORCH_LIBRARY_FRAGMENT(assay, m) { m.def("column_sums(Tensor x) -> Tensor"); }
TORCH_LIBRARY_IMPL(assay, Autograd, m) { m.impl("column_sums", differentiable); }
TORCH_LIBRARY_IMPL(assay, Meta, m) { m.impl("column_sums", shape); }

}  // namespace assay::ops
