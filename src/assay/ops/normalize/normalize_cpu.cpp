#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include "assay/ops/normalize/normalize_op.h"
#include "assay/ops/normalize/normalize_rows.h"
#include "assay/ops/row_tasks.h"

namespace assay::ops {
namespace {

const NormalizeRow<float>& rows(float) { return normalize_rows().f32; }
const NormalizeRow<double>& rows(double) { return normalize_rows().f64; }

template <class T>
const T* pointer(const MaybeTensor& t) {
  return t ? t->const_data_ptr<T>() : nullptr;
}
template <class T>
T* at_row(T* p, int64_t offset) {
  return p == nullptr ? nullptr : p + offset;
}
MaybeTensor dense(const MaybeTensor& t) { return t ? MaybeTensor(t->contiguous()) : std::nullopt; }

template <class T>
NormalizeResult forward(const Tensor& x, const MaybeTensor& scale, const MaybeTensor& bias, const NormalizeNumbers& numbers) {
  const int64_t n = x.size(-1);
  const auto made = [&](bool want) { return want ? at::empty_like(x) : at::empty({0}, x.options()); };
  const Tensor z = made(numbers.with_z), scaled = made(scale.has_value());
  const T *in = x.const_data_ptr<T>(), *s = pointer<T>(scale), *b = pointer<T>(bias);
  T *out = numbers.with_z ? z.mutable_data_ptr<T>() : nullptr, *out_scaled = scale ? scaled.mutable_data_ptr<T>() : nullptr;
  for_rows(x.numel() / n, [&](int64_t row) {
    rows(T()).forward(in + row * n, s, b, n, static_cast<T>(numbers.eps), numbers.centered, at_row(out, row * n),
                      at_row(out_scaled, row * n));
  });
  return {z, scaled};
}

template <class T>
NormalizeGrads backward(const MaybeTensor& dz, const MaybeTensor& dscaled, const MaybeTensor& dthrough, const Tensor& x,
                        const MaybeTensor& scale, bool with_bias, double eps, bool centered) {
  const int64_t n = x.size(-1), count = x.numel() / n;
  const Tensor dx = at::empty_like(x);
  const T *g = pointer<T>(dz), *h = pointer<T>(dscaled), *t = pointer<T>(dthrough), *in = x.const_data_ptr<T>(), *s = pointer<T>(scale);
  T* out = dx.mutable_data_ptr<T>();
  ColumnSums<T> sums(count, h == nullptr ? 0 : 2 * n);  // dscale, dbias
  sums.for_rows([&](int64_t row, T* to) {
    rows(T()).backward(at_row(g, row * n), at_row(h, row * n), at_row(t, row * n), in + row * n, s, n, static_cast<T>(eps), centered,
                       out + row * n, to, with_bias && h != nullptr ? to + n : nullptr);
  });
  const Tensor none = at::empty({0}, x.options());
  if (!scale) return {dx, none, none};
  const Tensor total = at::zeros({2 * n}, x.options());
  if (h != nullptr) sums.total(total.mutable_data_ptr<T>());
  return {dx, total.narrow(0, 0, n).clone(), with_bias ? total.narrow(0, n, n).clone() : none};
}

NormalizeResult normalize_cpu(const Tensor& x, const MaybeTensor& scale, const MaybeTensor& bias, double eps, bool centered, bool bf16,
                              bool with_z) {
  check_normalize(x, scale, bias, bf16);
  const Tensor in = x.contiguous();
  const NormalizeNumbers numbers{eps, centered, bf16, with_z};
  return x.scalar_type() == at::kDouble ? forward<double>(in, dense(scale), dense(bias), numbers)
                                        : forward<float>(in, dense(scale), dense(bias), numbers);
}

NormalizeGrads normalize_backward_cpu(const MaybeTensor& dz, const MaybeTensor& dscaled, const MaybeTensor& dthrough, const Tensor& x,
                                      const MaybeTensor& scale, bool with_bias, double eps, bool centered) {
  const auto f = x.scalar_type() == at::kDouble ? &backward<double> : &backward<float>;
  return f(dense(dz), dense(dscaled), dense(dthrough), x.contiguous(), dense(scale), with_bias, eps, centered);
}

}  // namespace

TORCH_LIBRARY_IMPL(assay, CPU, m) {
  m.impl("normalize", normalize_cpu);
  m.impl("normalize_backward", normalize_backward_cpu);
}

}  // namespace assay::ops
