#include "assay/layers/causal_conv.h"

#include <ATen/Parallel.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/conv1d.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

namespace assay::layers {
namespace {

constexpr int64_t kRowsAtOnce = 8, kColumnsAtOnce = 64;

// One row at a time over the channels, which are next to each other in memory; the kernel is transposed to [kernel, V] for that.
template <class T>
void forward_rows(const Tensor& z, const Tensor& w_KV, const Tensor& bias, const Tensor& y) {
  const int64_t length = z.size(1), V = z.size(2), K = w_KV.size(0);
  const T *in = z.const_data_ptr<T>(), *w = w_KV.const_data_ptr<T>(), *b = bias.const_data_ptr<T>();
  T* out = y.mutable_data_ptr<T>();
  at::parallel_for(0, z.size(0) * length, kRowsAtOnce, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      T* to = out + row * V;
      std::copy(b, b + V, to);
      for (int64_t j = std::max<int64_t>(0, K - 1 - row % length); j < K; ++j) {
        const T *from = in + (row - (K - 1) + j) * V, *tap = w + j * V;
        for (int64_t v = 0; v < V; ++v) to[v] += tap[v] * from[v];
      }
    }
  });
}

// dz_s = sum_j w_j g_{s+(K-1)-j}
template <class T>
void backward_rows(const Tensor& g, const Tensor& w_KV, const Tensor& dz) {
  const int64_t length = g.size(1), V = g.size(2), K = w_KV.size(0);
  const T *up = g.const_data_ptr<T>(), *w = w_KV.const_data_ptr<T>();
  T* out = dz.mutable_data_ptr<T>();
  at::parallel_for(0, g.size(0) * length, kRowsAtOnce, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      T* to = out + row * V;
      std::fill(to, to + V, T(0));
      for (int64_t j = std::max<int64_t>(0, K - (length - row % length)); j < K; ++j) {
        const T *from = up + (row + (K - 1) - j) * V, *tap = w + j * V;
        for (int64_t v = 0; v < V; ++v) to[v] += tap[v] * from[v];
      }
    }
  });
}

// dw_j = sum_{b,t} g_t z_{t-(K-1)+j},  db = sum g: a task owns some channels, so the order of the sums does not depend on the threads.
template <class T>
void backward_weights(const Tensor& g, const Tensor& z, const Tensor& dw_KV, const Tensor& db) {
  const int64_t rows = g.size(0) * g.size(1), length = g.size(1), V = g.size(2), K = dw_KV.size(0);
  const T *up = g.const_data_ptr<T>(), *in = z.const_data_ptr<T>();
  T *dw = dw_KV.mutable_data_ptr<T>(), *bias = db.mutable_data_ptr<T>();
  at::parallel_for(0, (V + kColumnsAtOnce - 1) / kColumnsAtOnce, 1, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const int64_t first = block * kColumnsAtOnce, n = std::min(kColumnsAtOnce, V - first);
      for (int64_t j = 0; j < K; ++j) std::fill(dw + j * V + first, dw + j * V + first + n, T(0));
      std::fill(bias + first, bias + first + n, T(0));
      for (int64_t row = 0; row < rows; ++row) {
        const T* from = up + row * V + first;
        for (int64_t v = 0; v < n; ++v) bias[first + v] += from[v];
        for (int64_t j = std::max<int64_t>(0, K - 1 - row % length); j < K; ++j) {
          const T* past = in + (row - (K - 1) + j) * V + first;
          T* to = dw + j * V + first;
          for (int64_t v = 0; v < n; ++v) to[v] += from[v] * past[v];
        }
      }
    }
  });
}

struct CausalConv : torch::autograd::Function<CausalConv> {
  static Tensor forward(torch::autograd::AutogradContext* ctx, const Tensor& z_in, const Tensor& weight, const Tensor& bias_in) {
    const Tensor z = z_in.contiguous(), w_KV = weight.squeeze(1).t().contiguous(), bias = bias_in.contiguous(), y = at::empty_like(z);
    ctx->save_for_backward({z, w_KV});
    if (z.scalar_type() == at::kDouble) forward_rows<double>(z, w_KV, bias, y);
    else forward_rows<float>(z, w_KV, bias, y);
    return y;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx, const torch::autograd::variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const Tensor &z = saved[0], &w_KV = saved[1], g = grads[0].contiguous();
    const bool wide = z.scalar_type() == at::kDouble;
    Tensor dz;
    if (ctx->needs_input_grad(0)) {
      dz = at::empty_like(z);
      if (wide) backward_rows<double>(g, w_KV, dz);
      else backward_rows<float>(g, w_KV, dz);
    }
    const Tensor dw_KV = at::empty_like(w_KV), db = at::empty_like(w_KV.select(0, 0));
    if (wide) backward_weights<double>(g, z, dw_KV, db);
    else backward_weights<float>(g, z, dw_KV, db);
    return {dz, dw_KV.t().unsqueeze(1), db};
  }
};

}  // namespace

Tensor causal_conv(const Tensor& z_BTV, const Tensor& weight, const Tensor& bias_V) {
  if (z_BTV.is_cpu()) return CausalConv::apply(z_BTV, weight, bias_V);
  if (!z_BTV.is_cuda()) return causal_conv_reference(z_BTV, weight, bias_V);
  const Tensor padded = at::constant_pad_nd(z_BTV.transpose(1, 2), {weight.size(2) - 1, 0});
  const int64_t no_padding = 0;
  return at::conv1d(padded, weight, bias_V, 1, at::IntArrayRef(no_padding), 1, weight.size(0)).transpose(1, 2);
}

Tensor causal_conv_reference(const Tensor& z_BTV, const Tensor& weight, const Tensor& bias_V) {
  const int64_t T = z_BTV.size(1), kernel = weight.size(2);
  const Tensor padded = at::constant_pad_nd(z_BTV, {0, 0, kernel - 1, 0});
  Tensor y = bias_V.expand_as(z_BTV);
  for (int64_t j = 0; j < kernel; ++j) y = y + weight.select(2, j).squeeze(1) * padded.narrow(1, j, T);
  return y;
}

}  // namespace assay::layers
