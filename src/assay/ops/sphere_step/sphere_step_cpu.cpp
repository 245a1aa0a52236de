#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <cmath>
#include <vector>

#include "assay/ops/row_tasks.h"
#include "assay/ops/sphere_step/sphere_step_op.h"
#include "assay/ops/sphere_step/sphere_step_rows.h"

namespace assay::ops {
namespace {

const SphereRow<float>& rows(float) { return sphere_rows().f32; }
const SphereRow<double>& rows(double) { return sphere_rows().f64; }

// alpha and sigmoid(gate), and their product for each column.
template <class T>
struct Step {
  Step(const MaybeTensor& factor, const MaybeTensor& gate, int64_t n)
      : alpha(factor ? *factor->const_data_ptr<T>() : T(1)), sigmoid(static_cast<size_t>(n), T(1)), step(static_cast<size_t>(n)) {
    if (gate) {
      const Tensor g = gate->contiguous();
      for (size_t i = 0; i < sigmoid.size(); ++i) sigmoid[i] = T(1) / (T(1) + std::exp(-g.const_data_ptr<T>()[i]));
    }
    for (size_t i = 0; i < step.size(); ++i) step[i] = alpha * sigmoid[i];
  }
  T alpha;
  std::vector<T> sigmoid, step;
};

template <class T>
SphereResult forward(const Tensor& x, const MaybeTensor& rho, const Step<T>& s, double eps) {
  const int64_t n = x.size(-1);
  const Tensor y = at::empty_like(x), r = at::empty(x.sizes().slice(0, x.dim() - 1), x.options());
  const T *in = x.const_data_ptr<T>(), *branch = rho ? rho->const_data_ptr<T>() : nullptr;
  T *out = y.mutable_data_ptr<T>(), *lengths = r.mutable_data_ptr<T>();
  for_rows(x.numel() / n, [&](int64_t row) {
    lengths[row] = rows(T()).forward(in + row * n, branch == nullptr ? nullptr : branch + row * n, s.step.data(), n, static_cast<T>(eps),
                                     out + row * n);
  });
  return {y, at::empty({0}, x.options().dtype(at::kBFloat16)), r};
}

template <class T>
SphereGrads backward(const Tensor& dy, const Tensor& y, const Tensor& r, const MaybeTensor& rho, const MaybeTensor& alpha,
                     const MaybeTensor& gate) {
  const int64_t n = y.size(-1), count = y.numel() / n;
  const Step<T> s(alpha, gate, n);
  const Tensor dx = at::empty_like(y), none = at::empty({0}, y.options()), drho = rho ? at::empty_like(y) : none,
               dalpha = alpha ? at::empty(alpha->sizes(), y.options()) : none, dgate = gate ? at::empty({n}, y.options()) : none;
  const T *up = dy.const_data_ptr<T>(), *at_y = y.const_data_ptr<T>(), *lengths = r.const_data_ptr<T>(),
          *branch = rho ? rho->const_data_ptr<T>() : nullptr;
  T *to_x = dx.mutable_data_ptr<T>(), *to_rho = rho ? drho.mutable_data_ptr<T>() : nullptr;
  ColumnSums<T> sums(count, rho ? n : 0);
  sums.for_rows([&](int64_t row, T* G) {
    rows(T()).backward(up + row * n, at_y + row * n, lengths[row], branch == nullptr ? nullptr : branch + row * n, s.step.data(), n,
                       to_x + row * n, to_rho == nullptr ? nullptr : to_rho + row * n, G);
  });
  if (!alpha && !gate) return {dx, drho, none, none};
  std::vector<T> G(static_cast<size_t>(n));
  sums.total(G.data());
  T total = 0;
  for (size_t i = 0; i < G.size(); ++i) {
    total += s.sigmoid[i] * G[i];
    if (gate) dgate.mutable_data_ptr<T>()[i] = G[i] * s.alpha * s.sigmoid[i] * (1 - s.sigmoid[i]);
  }
  if (alpha) *dalpha.mutable_data_ptr<T>() = total;
  return {dx, drho, dalpha, dgate};
}

MaybeTensor dense(const MaybeTensor& t) { return t ? MaybeTensor(t->contiguous()) : std::nullopt; }

SphereResult sphere_step_cpu(const Tensor& x, const MaybeTensor& rho, const MaybeTensor& alpha, const MaybeTensor& gate, double eps,
                             bool bf16) {
  check_sphere_step(x, rho, alpha, gate, bf16);
  const int64_t n = x.size(-1);
  if (x.scalar_type() == at::kDouble) return forward<double>(x.contiguous(), dense(rho), {alpha, gate, n}, eps);
  return forward<float>(x.contiguous(), dense(rho), {alpha, gate, n}, eps);
}

SphereGrads sphere_step_backward_cpu(const MaybeTensor& dy, const MaybeTensor& dnarrow, const Tensor& y, const Tensor& r,
                                     const MaybeTensor& rho, const MaybeTensor& alpha, const MaybeTensor& gate) {
  check_sphere_step_gradient(dy, dnarrow, y, r, rho, alpha, gate);
  TORCH_CHECK(dy.has_value(), "[sphere_step] no gradient of y");
  const auto f = y.scalar_type() == at::kDouble ? &backward<double> : &backward<float>;
  return f(dy->contiguous(), y, r, dense(rho), alpha, gate);
}

}  // namespace

TORCH_LIBRARY_IMPL(assay, CPU, m) {
  m.impl("sphere_step", sphere_step_cpu);
  m.impl("sphere_step_backward", sphere_step_backward_cpu);
}

}  // namespace assay::ops
