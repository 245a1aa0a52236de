#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include "assay/ops/residual/residual_op.h"
#include "assay/ops/residual/residual_rows.h"
#include "assay/ops/row_tasks.h"
#include "assay/ops/wide_rows.h"

namespace assay::ops {
namespace {

const ResidualRow<float>& rows(float) { return residual_rows().f32; }
const ResidualRow<double>& rows(double) { return residual_rows().f64; }

// The operands and where a row of them begins; m and z may be bfloat16 beside float32.
template <class T>
struct Rows {
  Rows(const Tensor& m_in, const MaybeTensor& z_in, const MaybeTensor& diag_in, const MaybeTensor& bias_in, const Tensor& c_in,
       int64_t activation)
      : diag_(dense(diag_in)),
        bias_(dense(bias_in)),
        c_(c_in.contiguous()),
        n(m_in.size(-1)),
        count(m_in.numel() / n),
        m(m_in, n, 0),
        z(z_in.value_or(Tensor()), n, 1),
        terms{data(diag_), data(bias_), c_.const_data_ptr<T>(), c_.numel() > 1, activation} {}

 private:
  static Tensor dense(const MaybeTensor& t) { return t ? t->contiguous() : Tensor(); }
  static const T* data(const Tensor& t) { return t.defined() ? t.const_data_ptr<T>() : nullptr; }
  Tensor diag_, bias_, c_;

 public:
  int64_t n, count;
  InRows<T> m, z;
  ResidualTerms<T> terms;
};

template <class T>
Tensor forward(const Tensor& x, const Rows<T>& in) {
  const Tensor out = at::empty_like(x);
  const T* from = x.const_data_ptr<T>();
  T* to = out.mutable_data_ptr<T>();
  for_rows(in.count, [&](int64_t row) { rows(T()).forward(from + row * in.n, in.m(row), in.z(row), in.terms, in.n, to + row * in.n); });
  return out;
}

template <class T>
ResidualGrads backward(const Tensor& g, const Rows<T>& in, const Tensor& c, at::ScalarType m_type) {
  const auto options = g.options();
  const int64_t n = in.n, C = c.numel();
  const bool diag = in.terms.diag != nullptr, bias = in.terms.bias != nullptr;
  const auto branch = options.dtype(m_type);
  const Tensor none = at::empty({0}, options), dm = at::empty(g.sizes(), branch), dz = diag ? at::empty(g.sizes(), branch) : none;
  const T* up = g.const_data_ptr<T>();
  const OutRows<T> to_m(dm, n, 2), to_z(dz, n, 3);
  ColumnSums<T> sums(in.count, 2 * n + C);  // ddiag, dbias, dc
  sums.for_rows([&](int64_t row, T* s) {
    rows(T()).backward(up + row * n, in.m(row), in.z(row), in.terms, n, to_m.begin(row), to_z.begin(row), s, s + n, s + 2 * n);
    to_m.end(row);
    to_z.end(row);
  });
  const Tensor totals = at::empty({2 * n + C}, options);
  sums.total(totals.mutable_data_ptr<T>());
  return {dm, dz, diag ? totals.narrow(0, 0, n).clone() : none, bias ? totals.narrow(0, n, n).clone() : none,
          totals.narrow(0, 2 * n, C).clone().view(c.sizes())};
}

Tensor residual_cpu(const Tensor& x, const Tensor& m, const MaybeTensor& z, const MaybeTensor& diag, const MaybeTensor& bias,
                    const Tensor& c, int64_t activation) {
  check_residual(x, m, z, diag, bias, c, activation);
  const Tensor in = x.contiguous();
  if (x.scalar_type() == at::kDouble) return forward<double>(in, {m, z, diag, bias, c, activation});
  return forward<float>(in, {m, z, diag, bias, c, activation});
}

ResidualGrads residual_backward_cpu(const Tensor& g, const Tensor& m, const MaybeTensor& z, const MaybeTensor& diag,
                                    const MaybeTensor& bias, const Tensor& c, int64_t activation) {
  const Tensor up = g.contiguous();
  if (g.scalar_type() == at::kDouble) return backward<double>(up, {m, z, diag, bias, c, activation}, c, at::kDouble);
  return backward<float>(up, {m, z, diag, bias, c, activation}, c, m.scalar_type());
}

}  // namespace

TORCH_LIBRARY_IMPL(assay, CPU, m) {
  m.impl("residual", residual_cpu);
  m.impl("residual_backward", residual_backward_cpu);
}

}  // namespace assay::ops
