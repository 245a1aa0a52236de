#include "assay/arch/transformer/decoder/token_shift.h"

#include <ATen/ops/cat.h>

#include <cmath>

#include "assay/arch/transformer/decoder/component.h"

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

namespace {
constexpr Control shift_controls[] = {{"previous_token=true", "a table of its own for the token before: more parameters, the same sight"},
                                      {"token_shift=off", "whether one position back helps at all"}};
constexpr Control previous_controls[] = {{"token_shift=embedding", "the same sight without a second table"},
                                         {"tied=false", "a second table of as many weights in another place"}};
}  // namespace
extern const Component component_token_shift, component_previous_token;
constinit const Component component_token_shift{
    .name = "token_shift",
    .summary = "mixes in the position before, in a fixed or learnt share",
    .place = "once before block 0 (embedding), or behind every block (blocks)",
    .on = "token_shift=embedding",
    .options = "token_shift token_shift_alpha token_shift_learnt",
    .equations = "x_t <- (1 - alpha) x_t + alpha x_{t-1},  x_0 stays;  alpha fixed, or sigmoid(a) learnt",
    .cost = "C multiply-adds a token and place; a scalar where the share is learnt",
    .source = "Peng et al. 2023 have it in another form; here the plainest control of blend and sort layer",
    .claim = "none by itself",
    .trust = "what the blend gained, if anything, this should gain too",
    .controls = shift_controls,
};
constinit const Component component_previous_token{
    .name = "previous_token",
    .summary = "a second embedding table, read at the token before",
    .place = "the sum that enters block 0",
    .on = "previous_token=true",
    .options = "previous_token",
    .equations = "x_t = E[u_t] + E'[u_{t-1}] + P[t]",
    .cost = "no products; V C weights",
    .source = "a control of the embedding blend",
    .claim = "none by itself",
    .trust = "a bigram in the embedding: expect a gain early in training",
    .controls = previous_controls,
};

}  // namespace assay::arch::decoder
