#include "assay/arch/transformer/decoder/token_shift.h"

#include <ATen/ops/cat.h>

#include <cmath>

namespace assay::arch::decoder {

const core::Schema& ShiftConfig::schema() {
  using core::option;
  static const core::Schema s = core::declare<ShiftConfig>(
      "model",
      {
          option("token_shift", &ShiftConfig::token_shift, "mixes in the position before: once at the embedding, or after every block")
              .one_of({"off", "embedding", "blocks"}),
          option("token_shift_alpha", &ShiftConfig::token_shift_alpha, "its share", 1e-6, 1 - 1e-6),
          option("token_shift_learnt", &ShiftConfig::token_shift_learnt, "the share is learnt, from token_shift_alpha on"),
          option("previous_token", &ShiftConfig::previous_token, "a second embedding table for the token before"),
      });
  return s;
}

TokenShift::TokenShift(const ShiftConfig& c, const Builder& b, const std::string& name) : alpha_(c.token_shift_alpha) {
  if (c.token_shift_learnt) a_ = b.mixing_scalar(name + ".a", std::log(c.token_shift_alpha / (1 - c.token_shift_alpha)));
}

Tensor TokenShift::operator()(const Tensor& x_BTC) const {
  const int64_t T = x_BTC.size(1);
  if (T == 1) return x_BTC;
  const Tensor here = x_BTC.narrow(1, 1, T - 1), before = x_BTC.narrow(1, 0, T - 1);
  const Tensor mixed = a_.defined() ? here + a_.sigmoid() * (before - here) : here + alpha_ * (before - here);
  return at::cat({x_BTC.narrow(1, 0, 1), mixed}, 1);
}

}  // namespace assay::arch::decoder
