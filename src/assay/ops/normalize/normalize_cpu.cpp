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
const T* at_row(const T* p, int64_t offset) {
  return p == nullptr ? nullptr : p + offset;
}
MaybeTensor dense(const MaybeTensor& t) { return t ? MaybeTensor(t->contiguous()) : std::nullopt; }

template <class T>
Two forward(const Tensor& x, const MaybeTensor& scale, double eps) {
  const int64_t n = x.size(-1);
  const Tensor z = at::empty_like(x), scaled = scale ? at::empty_like(x) : at::empty({0}, x.options());
  const T *in = x.const_data_ptr<T>(), *s = pointer<T>(scale);
  T *out = z.mutable_data_ptr<T>(), *out_scaled = scale ? scaled.mutable_data_ptr<T>() : nullptr;
  for_rows(x.numel() / n, [&](int64_t row) {
    rows(T()).forward(in + row * n, s, n, static_cast<T>(eps), out + row * n, out_scaled == nullptr ? nullptr : out_scaled + row * n);
  });
  return {z, scaled};
}

template <class T>
Two backward(const MaybeTensor& dz, const MaybeTensor& dscaled, const MaybeTensor& dthrough, const Tensor& x, const MaybeTensor& scale,
             double eps) {
  const int64_t n = x.size(-1), count = x.numel() / n;
  const Tensor dx = at::empty_like(x);
  const T *g = pointer<T>(dz), *h = pointer<T>(dscaled), *t = pointer<T>(dthrough), *in = x.const_data_ptr<T>(), *s = pointer<T>(scale);
  T* out = dx.mutable_data_ptr<T>();
  ColumnSums<T> dscale(count, h == nullptr ? 0 : n);
  dscale.for_rows([&](int64_t row, T* sums) {
    rows(T()).backward(at_row(g, row * n), at_row(h, row * n), at_row(t, row * n), in + row * n, s, n, static_cast<T>(eps), out + row * n,
                       sums);
  });
  if (!scale) return {dx, at::empty({0}, x.options())};
  const Tensor total = at::zeros({n}, x.options());
  if (h != nullptr) dscale.total(total.mutable_data_ptr<T>());
  return {dx, total};
}

Two normalize_cpu(const Tensor& x, const MaybeTensor& scale, double eps, bool bf16) {
  check_normalize(x, scale, bf16);
  const Tensor in = x.contiguous();
  return x.scalar_type() == at::kDouble ? forward<double>(in, dense(scale), eps) : forward<float>(in, dense(scale), eps);
}

Two normalize_backward_cpu(const MaybeTensor& dz, const MaybeTensor& dscaled, const MaybeTensor& dthrough, const Tensor& x,
                           const MaybeTensor& scale, double eps) {
  const Tensor in = x.contiguous();
  return x.scalar_type() == at::kDouble ? backward<double>(dense(dz), dense(dscaled), dense(dthrough), in, dense(scale), eps)
                                        : backward<float>(dense(dz), dense(dscaled), dense(dthrough), in, dense(scale), eps);
}

}  // namespace

TORCH_LIBRARY_IMPL(assay, CPU, m) {
  m.impl("normalize", normalize_cpu);
  m.impl("normalize_backward", normalize_backward_cpu);
}

}  // namespace assay::ops
