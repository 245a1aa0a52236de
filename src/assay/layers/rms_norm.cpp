#include "assay/layers/rms_norm.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/rms_norm.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

namespace assay::layers {
namespace {

constexpr int64_t kRowsAtOnce = 16;  // rows of a parallel task

// Rows are independent, so the result does not depend on the number of threads. Eight partial sums let the compiler use vectors.
template <class T>
T dot(const T* a, const T* b, int64_t n) {
  T sum[8] = {};
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (int64_t j = 0; j < 8; ++j) sum[j] += a[i + j] * b[i + j];
  for (; i < n; ++i) sum[0] += a[i] * b[i];
  return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

template <class T>
T inverse_rms(const T* z, int64_t n, double eps) {
  return T(1) / std::sqrt(dot(z, z, n) / static_cast<T>(n) + static_cast<T>(eps));
}

template <class T>
void forward_rows(const Tensor& z, const Tensor& out, double eps) {
  const int64_t n = z.size(-1);
  const T* in = z.const_data_ptr<T>();
  T* y = out.mutable_data_ptr<T>();
  at::parallel_for(0, z.numel() / n, kRowsAtOnce, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* x = in + row * n;
      const T r = inverse_rms(x, n, eps);
      for (int64_t i = 0; i < n; ++i) y[row * n + i] = x[i] * r;
    }
  });
}

template <class T>
void backward_rows(const Tensor& g, const Tensor& z, const Tensor& dz, double eps) {
  const int64_t n = z.size(-1);
  const T *in = z.const_data_ptr<T>(), *up = g.const_data_ptr<T>();
  T* d = dz.mutable_data_ptr<T>();
  at::parallel_for(0, z.numel() / n, kRowsAtOnce, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T *x = in + row * n, *u = up + row * n;
      const T r = inverse_rms(x, n, eps), c = r * r * r / static_cast<T>(n) * dot(u, x, n);
      for (int64_t i = 0; i < n; ++i) d[row * n + i] = r * u[i] - c * x[i];
    }
  });
}

struct RmsNorm : torch::autograd::Function<RmsNorm> {
  static Tensor forward(torch::autograd::AutogradContext* ctx, const Tensor& z, double eps) {
    const Tensor x = z.contiguous(), y = at::empty_like(x);
    ctx->save_for_backward({x});
    ctx->saved_data["eps"] = eps;
    if (x.numel() == 0) return y;
    if (x.scalar_type() == at::kDouble) forward_rows<double>(x, y, eps);
    else forward_rows<float>(x, y, eps);
    return y;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx, const torch::autograd::variable_list& grads) {
    const Tensor x = ctx->get_saved_variables()[0], g = grads[0].contiguous(), dz = at::empty_like(x);
    const double eps = ctx->saved_data["eps"].toDouble();
    if (x.numel() == 0) return {dz, Tensor()};
    if (x.scalar_type() == at::kDouble) backward_rows<double>(g, x, dz, eps);
    else backward_rows<float>(g, x, dz, eps);
    return {dz, Tensor()};
  }
};

}  // namespace

Tensor rms_norm(const Tensor& z, double eps) {
  if (!z.is_cpu()) return at::rms_norm(z, {z.size(-1)}, std::nullopt, eps);
  return RmsNorm::apply(z, eps);
}

}  // namespace assay::layers
