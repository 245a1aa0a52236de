#pragma once
#include "assay/arch/transformer/decoder/part.h"

// The embedding blend: once, before block 0, every position takes a learnt average of the last W [components 4].
//   w = softmax(omega), alpha = sigmoid(a);   x_t <- (1 - alpha) x_t + alpha sum_{k=0}^{min(W-1, t)} w_k x_{t-k}
//   blend_renorm              the sum is divided by sum_{k <= min(W-1, t)} w_k; else a row's first positions shrink
//   blend_order=after_pos     of E[u] + P, as published;  before_pos: of E[u], positions are added behind it
namespace assay::arch::decoder {

struct BlendConfig {
  int64_t blend_window = 0;
  std::string blend_order = "after_pos";
  bool blend_renorm = false;
  static const core::Schema& schema();
  bool on() const { return blend_window > 0; }
  double macs(double width, double T) const;
};

Tensor blend(const BlendConfig& c, const Tensor& x_BTC, const Tensor& omega_W, const Tensor& a);

class Blend {
 public:
  Blend() = default;
  Blend(const BlendConfig& c, const Builder& b);
  Tensor operator()(const Tensor& x_BTC) const { return blend(config_, x_BTC, omega_W_, a_); }

 private:
  BlendConfig config_;
  Tensor omega_W_, a_;
};

}  // namespace assay::arch::decoder
