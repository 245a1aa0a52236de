#pragma once
#include "assay/arch/transformer/decoder/part.h"

// How a position is known.
//   position=learned   x_t = E[u_t] + P[t]
//   position=rotary    in every head the pair (z_2i, z_2i+1) of q and k turns by t base^(-2i/d)     (Su et al. 2021)
//   position=none      by the causal mask alone
namespace assay::arch::decoder {

struct PositionConfig {
  std::string position = "learned";
  double rope_base = 10000;
  static const core::Schema& schema();
};

// Cosines and sines [T, d/2] of one forward pass.
struct Rotation {
  Tensor cos_TD, sin_TD;
  static Rotation of(int64_t T, int64_t d, double base, const at::TensorOptions& options);
  bool defined() const { return cos_TD.defined(); }
  Tensor operator()(const Tensor& z_BHTD) const;
};

}  // namespace assay::arch::decoder
