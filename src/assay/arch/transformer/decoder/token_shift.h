#pragma once
#include "assay/arch/transformer/decoder/part.h"

// The plainest ways to see the position before: controls of sort layer and blend [components 3.5, 4.4].
//   token_shift=embedding   once, where the blend stands:        x_t <- (1 - alpha) x_t + alpha x_{t-1},   x_0 stays
//   token_shift=blocks      after every block, where sort stands: the same, with an alpha a block
//   token_shift_learnt      alpha = sigmoid(a) is learnt; else it stays token_shift_alpha
//   previous_token          x_t = E[u_t] + E'[u_{t-1}] + P[t]: a table of its own for the token before
namespace assay::arch::decoder {

struct ShiftConfig {
  std::string token_shift = "off";
  double token_shift_alpha = 0.27;
  bool token_shift_learnt = false, previous_token = false;
  static const core::Schema& schema();
};

class TokenShift {
 public:
  TokenShift() = default;
  TokenShift(const ShiftConfig& c, const Builder& b, const std::string& name);
  Tensor operator()(const Tensor& x_BTC) const;

 private:
  double alpha_ = 0;
  Tensor a_;
};

}  // namespace assay::arch::decoder
