#include "assay/ops/gelu/gelu.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/gelu.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "assay/ops/gelu/gelu_rows.h"
#include "assay/ops/wide_rows.h"
#include "assay/tensor/first_order.h"

namespace assay::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kPiece =
    4096;  // elements of a row as the kernels see it: 16 KB, in the nearest cache also where it is bfloat16 and widened
constexpr int64_t kPieces = 4;  // of a task

const GeluRow<float>& rows(float) { return gelu_rows().f32; }
const GeluRow<double>& rows(double) { return gelu_rows().f64; }

// work(piece, elements) for each piece of n elements; all but the last are of kPiece.
template <class Work>
void for_pieces(int64_t n, const Work& work) {
  at::parallel_for(0, (n + kPiece - 1) / kPiece, kPieces, [&](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) work(piece, std::min(kPiece, n - piece * kPiece));
  });
}

template <class T>
void forward(const Tensor& u, const Tensor& y) {
  const InRows<T> in(u, kPiece, 0);
  const OutRows<T> out(y, kPiece, 1);
  for_pieces(u.numel(), [&](int64_t piece, int64_t n) {
    rows(T()).forward(in(piece, n), n, out.begin(piece));
    out.end(piece, n);
  });
}

template <class T>
void backward(const Tensor& u, const Tensor& dy, const Tensor& du) {
  const InRows<T> in(u, kPiece, 0), up(dy, kPiece, 1);
  const OutRows<T> out(du, kPiece, 2);
  for_pieces(u.numel(), [&](int64_t piece, int64_t n) {
    rows(T()).backward(in(piece, n), up(piece, n), n, out.begin(piece));
    out.end(piece, n);
  });
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
  const bool ours = u.is_cpu() && (u.scalar_type() == at::kFloat || u.scalar_type() == at::kDouble || u.scalar_type() == at::kBFloat16);
  return ours ? TanhGelu::apply(u) : at::gelu(u, "tanh");
}

}  // namespace assay::ops
