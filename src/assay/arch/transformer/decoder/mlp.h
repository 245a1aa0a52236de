#pragma once
#include "assay/arch/transformer/decoder/mask.h"

// The transform within a position, F hidden units.
//   mlp=gelu     W_2 gelu(W_1 z + b_1) + b_2,                       tanh form of gelu
//   mlp=relu2    W_2 max(W_1 z + b_1, 0)^2 + b_2                     (So et al. 2021)
//   mlp=swiglu   W_2 (silu(G z + b_g) * (U z + b_u)) + b_2,          rows of W_1 are G (F), then U (F)     (Shazeer 2020)
// With a mask M (mask.h): W <- W M after every update, dL/dW <- dL/dW M before it [components 2.3].
namespace assay::arch::decoder {

struct MlpConfig {
  std::string mlp = "gelu";
  int64_t mlp_hidden = 0;
  double fc2_init_scale = 1;
  static const core::Schema& schema();

  // F: mlp_hidden, or 4C (swiglu: 8C/3 rounded up to a multiple of 8, so that three matrices have the weights of two), or what
  // band_control=narrower makes of 4C.
  int64_t hidden(int64_t width, const BandConfig& band) const;
  void check(const BandConfig& band) const;
};

class Mlp {
 public:
  Mlp() = default;
  Mlp(const MlpConfig& c, const BandConfig& band, int64_t width, const Builder& b, const std::string& name, double out_scale);
  Tensor operator()(const Tensor& z_BTC) const;
  void mask_gradients();
  void mask_weights();
  // Multiply-adds a token: the weights that exist.
  static double macs(const MlpConfig& c, const BandConfig& band, int64_t width);

 private:
  // One of the two matrices: dense, masked or packed.
  struct Layer {
    Tensor weight, bias, mask;
    ops::Band band;
    bool packed = false;
  };
  static Layer layer(const BandConfig& c, const ops::Band& band, const Builder& b, const std::string& name, double scale);
  Tensor apply(const Layer& l, const Tensor& x) const;

  std::string kind_;
  tensor::Precision precision_ = tensor::Precision::fp32;
  Layer fc1_, fc2_;
};

}  // namespace assay::arch::decoder
