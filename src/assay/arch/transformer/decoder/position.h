#pragma once
#include "assay/arch/transformer/decoder/part.h"

// How a position is known.
//   position=learned   x_t = E[u_t] + P[t]
//   position=rotary    in every head the pair (z_2i, z_2i+1) of q and k turns by t base^(-2i/d)     (layers/rotary.h)
//   position=none      by the causal mask alone
namespace assay::arch::decoder {

struct PositionConfig {
  std::string position = "learned";
  double rope_base = 10000;
  static const core::Schema& schema();
};

}  // namespace assay::arch::decoder
