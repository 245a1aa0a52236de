#pragma once
#include "assay/tensor/aten.h"

namespace assay::layers {

// Linear attention in which each key fades at a rate of its own, which does not change:
//
//   o_t = sum_{s<t} exp((t-s-1) ln(lambda_s + 1e-8)) (q_t.k_s) v_s,    lambda_s = sigmoid(logit_s)
//
// k [B, S, c], v [B, S, d], logit [B, S] of positions 0..S-1; q [B, T, c] of the last T of them or (`first` = S) of positions after them.
// There is no recurrence of fixed size: the sum over keys cannot be folded. bf16: operands of the two products are rounded to bf16.
Tensor key_decay_attention(const Tensor& q_BTc, const Tensor& k_BSc, const Tensor& v_BSd, const Tensor& logit_BS, int64_t first, bool bf16);

}  // namespace assay::layers
