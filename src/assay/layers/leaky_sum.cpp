#include "assay/layers/leaky_sum.h"

#include <ATen/Parallel.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/flip.h>
#include <ATen/ops/log.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

namespace assay::layers {
namespace {

constexpr int64_t kColumnsAtOnce = 256;

// y_t = x_t + d y_{t-1}, forwards or backwards in time.
template <class T>
void scan_columns(const Tensor& x, const Tensor& d_V, bool backwards, const Tensor& y) {
  const int64_t length = x.size(1), V = x.size(2), blocks = (V + kColumnsAtOnce - 1) / kColumnsAtOnce;
  const T *in = x.const_data_ptr<T>(), *d = d_V.const_data_ptr<T>();
  T* out = y.mutable_data_ptr<T>();
  at::parallel_for(0, x.size(0) * blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t first = task % blocks * kColumnsAtOnce, n = std::min(kColumnsAtOnce, V - first), row = task / blocks * length;
      const T* before = nullptr;
      for (int64_t i = 0; i < length; ++i) {
        const int64_t at = (row + (backwards ? length - 1 - i : i)) * V + first;
        T* to = out + at;
        for (int64_t v = 0; v < n; ++v) to[v] = in[at + v] + (before == nullptr ? T(0) : d[first + v] * before[v]);
        before = to;
      }
    }
  });
}

Tensor doubled(const Tensor& x, const Tensor& d_V) {
  Tensor y = x, power = d_V;
  for (int64_t reach = 1; reach < x.size(1); reach *= 2) {
    const int64_t rest = x.size(1) - reach;
    y = at::cat({y.narrow(1, 0, reach), y.narrow(1, reach, rest) + power * y.narrow(1, 0, rest)}, 1);
    power = power * power;
  }
  return y;
}

Tensor scan(const Tensor& x_in, const Tensor& d_in, bool backwards) {
  if (!x_in.is_cpu()) return backwards ? at::flip(doubled(at::flip(x_in, {1}), d_in), {1}) : doubled(x_in, d_in);
  const Tensor x = x_in.contiguous(), d = d_in.contiguous(), y = at::empty_like(x);
  if (x.scalar_type() == at::kDouble) scan_columns<double>(x, d, backwards, y);
  else scan_columns<float>(x, d, backwards, y);
  return y;
}

// t -> t + 1, with a zero at the start.
Tensor later(const Tensor& x) { return at::cat({at::zeros_like(x.narrow(1, 0, 1)), x.narrow(1, 0, x.size(1) - 1)}, 1); }
Tensor earlier(const Tensor& x) { return at::cat({x.narrow(1, 1, x.size(1) - 1), at::zeros_like(x.narrow(1, 0, 1))}, 1); }

// With the inclusive scan y_t = z_t + d y_{t-1}: e_t = d y_{t-1}.
struct LeakySum : torch::autograd::Function<LeakySum> {
  static Tensor forward(torch::autograd::AutogradContext* ctx, const Tensor& z, const Tensor& d_V) {
    const Tensor before = later(scan(z, d_V, false));
    ctx->save_for_backward({before, d_V});
    return d_V * before;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx, const torch::autograd::variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const Tensor &before = saved[0], &d_V = saved[1];
    const Tensor l = scan(grads[0], d_V, true);
    return {d_V * earlier(l), (l * before).sum(at::IntArrayRef{0, 1})};
  }
};

}  // namespace

Tensor leaky_sum(const Tensor& z_BTV, const Tensor& d_V) { return LeakySum::apply(z_BTV, d_V); }

Tensor leaky_sum_clamped(const Tensor& z_BTV, const Tensor& d_V) {
  const int64_t T = z_BTV.size(1);
  const Tensor left_T = at::arange(T - 1, -1, -1, z_BTV.options().requires_grad(false));
  const Tensor w_TV = at::exp(left_T.unsqueeze(1) * at::log(d_V));
  return later(at::cumsum(w_TV * z_BTV, 1)) / w_TV.clamp_min(1e-8);
}

Tensor leaky_sum_reference(const Tensor& z_BTV, const Tensor& d_V) {
  const Tensor position = at::arange(z_BTV.size(1), z_BTV.options().requires_grad(false));
  const Tensor distance = (position.unsqueeze(1) - position.unsqueeze(0)).unsqueeze(-1);  // t - s, [T, T, 1]
  const Tensor w_TTV = at::pow(d_V, distance.clamp_min(1)) * (distance >= 1);
  return (w_TTV * z_BTV.unsqueeze(1)).sum(2);
}

}  // namespace assay::layers
