#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <type_traits>

#include "assay/ops/normalize/normalize_op.h"
#include "assay/ops/normalize/normalize_rows.h"
#include "assay/ops/row_tasks.h"
#include "assay/ops/wide_rows.h"

namespace assay::ops {
namespace {

const NormalizeRow<float>& rows(float) { return normalize_rows().f32; }
const NormalizeRow<double>& rows(double) { return normalize_rows().f64; }

template <class T>
const T* pointer(const MaybeTensor& t) {
  return t ? t->const_data_ptr<T>() : nullptr;
}
MaybeTensor dense(const MaybeTensor& t) { return t ? MaybeTensor(t->contiguous()) : std::nullopt; }

template <class T>
NormalizeResult forward(const Tensor& x, const MaybeTensor& branch, const MaybeTensor& scale, const MaybeTensor& bias,
                        const NormalizeNumbers& numbers) {
  const int64_t n = x.size(-1);
  const auto options = x.options().dtype(numbers.bf16 ? at::kBFloat16 : x.scalar_type());
  const auto made = [&](bool want) { return want ? at::empty(x.sizes(), options) : at::empty({0}, options); };
  const Tensor z = made(numbers.with_z), scaled = made(scale.has_value()),
               sum = branch ? at::empty(x.sizes(), x.options()) : at::empty({0}, x.options());
  const T *in = x.const_data_ptr<T>(), *s = pointer<T>(scale), *b = pointer<T>(bias);
  const OutRows<T> to_z(z, n, 0), to_scaled(scaled, n, 1);
  const InRows<T> joining(branch.value_or(Tensor()), n, 2);
  T* joined = branch ? sum.mutable_data_ptr<T>() : nullptr;
  for_rows(x.numel() / n, [&](int64_t row) {
    const T* of = in + row * n;
    if (joined != nullptr) {
      rows(T()).add(of, joining(row), n, joined + row * n);
      of = joined + row * n;
    }
    rows(T()).forward(of, s, b, n, static_cast<T>(numbers.eps), numbers.centered, to_z.begin(row), to_scaled.begin(row));
    to_z.end(row);
    to_scaled.end(row);
  });
  return {z, scaled, sum};
}

template <class T>
NormalizeGrads backward(const MaybeTensor& dz, const MaybeTensor& dscaled, const MaybeTensor& dthrough, const Tensor& x,
                        const MaybeTensor& scale, bool with_bias, double eps, bool centered, bool narrow_branch) {
  const int64_t n = x.size(-1), count = x.numel() / n;
  const auto half = x.options().dtype(at::kBFloat16);
  const Tensor dx = at::empty_like(x), dbranch = narrow_branch ? at::empty(x.sizes(), half) : at::empty({0}, half);
  const InRows<T> g(dz.value_or(Tensor()), n, 0), h(dscaled.value_or(Tensor()), n, 1), t(dthrough.value_or(Tensor()), n, 2);
  const T *in = x.const_data_ptr<T>(), *s = pointer<T>(scale);
  T* out = dx.mutable_data_ptr<T>();
  const bool with_scaled = dscaled.has_value();
  ColumnSums<T> sums(count, with_scaled ? 2 * n : 0);  // dscale, dbias
  sums.for_rows([&](int64_t row, T* to) {
    rows(T()).backward(g(row), h(row), t(row), in + row * n, s, n, static_cast<T>(eps), centered, out + row * n, to,
                       with_bias && with_scaled ? to + n : nullptr);
    if constexpr (std::is_same_v<T, float>)
      if (narrow_branch) bf16_rows().narrow(out + row * n, n, mutable_bits_of(dbranch) + row * n);
  });
  const Tensor none = at::empty({0}, x.options());
  if (!scale) return {dx, dbranch, none, none};
  const Tensor total = at::zeros({2 * n}, x.options());
  if (with_scaled) sums.total(total.mutable_data_ptr<T>());
  return {dx, dbranch, total.narrow(0, 0, n).clone(), with_bias ? total.narrow(0, n, n).clone() : none};
}

NormalizeResult normalize_cpu(const Tensor& x, const MaybeTensor& branch, const MaybeTensor& scale, const MaybeTensor& bias, double eps,
                              bool centered, bool bf16, bool with_z) {
  check_normalize(x, branch, scale, bias, bf16);
  const auto f = x.scalar_type() == at::kDouble ? &forward<double> : &forward<float>;
  return f(x.contiguous(), branch, dense(scale), dense(bias), {eps, centered, bf16, with_z});
}

NormalizeGrads normalize_backward_cpu(const MaybeTensor& dz, const MaybeTensor& dscaled, const MaybeTensor& dthrough, const Tensor& x,
                                      const MaybeTensor& scale, bool with_bias, double eps, bool centered, bool narrow_branch) {
  TORCH_CHECK(!narrow_branch || x.scalar_type() == at::kFloat, "[normalize] a bfloat16 branch joins a float32 state, not ",
              x.scalar_type());
  const auto f = x.scalar_type() == at::kDouble ? &backward<double> : &backward<float>;
  return f(dz, dscaled, dthrough, x.contiguous(), dense(scale), with_bias, eps, centered, narrow_branch);
}

}  // namespace

TORCH_LIBRARY_IMPL(assay, CPU, m) {
  m.impl("normalize", normalize_cpu);
  m.impl("normalize_backward", normalize_backward_cpu);
}

}  // namespace assay::ops
