#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include "assay/ops/row_tasks.h"
#include "assay/ops/shift_max/shift_max_op.h"
#include "assay/ops/shift_max/shift_max_rows.h"

namespace assay::ops {
namespace {

const ShiftMaxRow<float>& rows(float) { return shift_max_rows().f32; }
const ShiftMaxRow<double>& rows(double) { return shift_max_rows().f64; }

template <class T>
Tensor forward(const Tensor& z, int64_t k, double tau) {
  const int64_t n = z.size(-1);
  const Tensor p = at::empty_like(z);
  const T* in = z.const_data_ptr<T>();
  T* out = p.mutable_data_ptr<T>();
  for_rows(z.numel() / n, [&](int64_t row) { rows(T()).forward(in + row * n, n, k, static_cast<T>(tau), out + row * n); });
  return p;
}

template <class T>
Tensor backward(const Tensor& g, const Tensor& z, int64_t k, double tau) {
  const int64_t n = z.size(-1);
  const Tensor dz = at::empty_like(z);
  const T *up = g.const_data_ptr<T>(), *in = z.const_data_ptr<T>();
  T* out = dz.mutable_data_ptr<T>();
  at::parallel_for(0, z.numel() / n, kRowsOfTask, [&](int64_t begin, int64_t end) {
    std::vector<T> slope(static_cast<size_t>(n));
    for (int64_t row = begin; row < end; ++row)
      rows(T()).backward(up + row * n, in + row * n, n, k, static_cast<T>(tau), slope.data(), out + row * n);
  });
  return dz;
}

Tensor shift_max_cpu(const Tensor& z, int64_t k, double tau) {
  check_shift_max(z, k, tau);
  return z.scalar_type() == at::kDouble ? forward<double>(z.contiguous(), k, tau) : forward<float>(z.contiguous(), k, tau);
}

Tensor shift_max_backward_cpu(const Tensor& g, const Tensor& z, int64_t k, double tau) {
  check_shift_max_gradient(g, z, k, tau);
  const auto f = z.scalar_type() == at::kDouble ? &backward<double> : &backward<float>;
  return f(g.contiguous(), z.contiguous(), k, tau);
}

}  // namespace

TORCH_LIBRARY_IMPL(assay, CPU, m) {
  m.impl("shift_max", shift_max_cpu);
  m.impl("shift_max_backward", shift_max_backward_cpu);
}

}  // namespace assay::ops
