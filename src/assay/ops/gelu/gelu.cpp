#include "assay/ops/gelu/gelu.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/gelu.h>
#include <torch/csrc/autograd/custom_function.h>

#include "assay/ops/gelu/gelu_rows.h"
#include "assay/tensor/first_order.h"

namespace assay::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kPiece = 16384;  // elements of a task: 64 KB in and out

const GeluRow<float>& rows(float) { return gelu_rows().f32; }
const GeluRow<double>& rows(double) { return gelu_rows().f64; }

template <class T>
void forward(const Tensor& u, const Tensor& y) {
  const T* in = u.const_data_ptr<T>();
  T* out = y.mutable_data_ptr<T>();
  at::parallel_for(0, u.numel(), kPiece, [&](int64_t begin, int64_t end) { rows(T()).forward(in + begin, end - begin, out + begin); });
}

template <class T>
void backward(const Tensor& u, const Tensor& dy, const Tensor& du) {
  const T *in = u.const_data_ptr<T>(), *up = dy.const_data_ptr<T>();
  T* out = du.mutable_data_ptr<T>();
  at::parallel_for(0, u.numel(), kPiece,
                   [&](int64_t begin, int64_t end) { rows(T()).backward(in + begin, up + begin, end - begin, out + begin); });
}

struct TanhGelu : torch::autograd::Function<TanhGelu> {
  static Tensor forward(AutogradContext* ctx, const Tensor& u) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const Tensor dense = u.contiguous(), y = at::empty_like(dense);
    if (u.scalar_type() == at::kDouble) ops::forward<double>(dense, y);
    else ops::forward<float>(dense, y);
    ctx->save_for_backward({dense});
    return y;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& g) {
    const variable_list s = ctx->get_saved_variables();
    const tensor::FirstOrderOnly once("gelu", g, s);
    const Tensor u = s[0], up = g[0].contiguous(), du = at::empty_like(u);
    if (u.scalar_type() == at::kDouble) ops::backward<double>(u, up, du);
    else ops::backward<float>(u, up, du);
    return {du};
  }
};

}  // namespace

Tensor tanh_gelu(const Tensor& u) {
  const bool ours = u.is_cpu() && (u.scalar_type() == at::kFloat || u.scalar_type() == at::kDouble);
  return ours ? TanhGelu::apply(u) : at::gelu(u, "tanh");
}

}  // namespace assay::ops
