#pragma once
#include "assay/tensor/aten.h"

namespace assay::ops {

// Causal softmax attention on the CPU by tiles of rows over the causal half:
//   o_t = sum_{s <= t} p_ts v_s,   p_ts = exp(scale q_t.k_s) / sum_{r <= t} exp(scale q_t.k_r),   scale >= 0
// q, k, v [B, H, T, d], float32 or float64, of any strides but for a contiguous last axis. These are kernels without derivatives of their
// own; layers/attention.h joins them.

// Writes out [B, H, T, d], last axis contiguous.
void causal_attention_forward(const Tensor& out, const Tensor& q, const Tensor& k, const Tensor& v, double scale);

struct AttentionGrads {
  Tensor q, k, v;  // [B, H, T, d], last axis contiguous
};
// Writes the gradients for an upstream `grad` [B, H, T, d]. With dp_ts = g_t.v_s and ds_ts = scale p_ts (dp_ts - sum_r p_tr dp_tr):
//   dq_t = sum_s ds_ts k_s,   dk_s = sum_t ds_ts q_t,   dv_s = sum_t p_ts g_t
// p is computed anew from q and k: from a saved log-sum its error would be the log-sum's, and g_t.o_t beside it does not cancel where it should.
void causal_attention_backward(const AttentionGrads& to, const Tensor& grad, const Tensor& q, const Tensor& k, const Tensor& v,
                               double scale);

}  // namespace assay::ops
