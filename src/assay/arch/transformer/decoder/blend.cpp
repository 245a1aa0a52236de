#include "assay/arch/transformer/decoder/blend.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>

#include <algorithm>

namespace assay::arch::decoder {

const core::Schema& BlendConfig::schema() {
  using core::option;
  static const core::Schema s = core::declare<BlendConfig>(
      "model", {
                   option("blend_window", &BlendConfig::blend_window, "embedding blend: positions W that it averages; 0 = none", 0, 512),
                   option("blend_order", &BlendConfig::blend_order, "of token and position vectors together, or of token vectors alone")
                       .one_of({"after_pos", "before_pos"}),
                   option("blend_renorm", &BlendConfig::blend_renorm, "weights of a row's first positions sum to one"),
               });
  return s;
}

double BlendConfig::macs(double width, double T) const { return std::min(static_cast<double>(blend_window), T) * width; }

Tensor blend(const BlendConfig& c, const Tensor& x_BTC, const Tensor& omega_W, const Tensor& a) {
  const int64_t T = x_BTC.size(1), seen = std::min(T, omega_W.size(0));
  const Tensor none = at::zeros({T}, omega_W.options().requires_grad(false));
  const Tensor w_T = at::cat({omega_W.softmax(0).narrow(0, 0, seen), none.narrow(0, 0, T - seen)});
  // Row t of the matrix is w_t, ..., w_0, 0, ..., 0: a window into (0, ..., 0, w_0, ..., w_{T-1}) reversed.
  const Tensor weights_TT = at::cat({none.narrow(0, 0, T - 1), w_T}).unfold(0, T, 1).flip({1});
  Tensor mixed_BTC = at::matmul(weights_TT, x_BTC);
  if (c.blend_renorm) mixed_BTC = mixed_BTC / w_T.cumsum(0).unsqueeze(1);
  const Tensor alpha = a.sigmoid();
  return (1 - alpha) * x_BTC + alpha * mixed_BTC;
}

Blend::Blend(const BlendConfig& c, const Builder& b) : config_(c) {
  omega_W_ = b.params.add("blend.w", {c.blend_window}, tensor::constant(0), kMixingScalar);
  a_ = b.mixing_scalar("blend.a", kInitialMixing);
}

}  // namespace assay::arch::decoder
