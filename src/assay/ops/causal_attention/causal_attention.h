#pragma once
#include "assay/tensor/aten.h"

namespace assay::ops {

// Causal softmax attention on the CPU by tiles of rows over the causal half:
//   o_t = sum_{s <= t} p_ts v_s,   p_ts = exp(scale q_t.k_s - lse_t),   lse_t = log sum_{s <= t} exp(scale q_t.k_s)
// q, k, v [B, H, T, d], float32 or float64, of any strides but for a contiguous last axis. These are kernels without derivatives of their
// own; layers/attention.h joins them.

// Writes out [B, H, T, d] (last axis contiguous) and returns lse [B, H, T].
Tensor causal_attention_forward(const Tensor& out, const Tensor& q, const Tensor& k, const Tensor& v, double scale);

struct AttentionGrads {
  Tensor q, k, v;  // [B, H, T, d], last axis contiguous
};
// Writes the gradients for an upstream `grad` [B, H, T, d]. With dp_ts = g_t.v_s and ds_ts = scale p_ts (dp_ts - g_t.o_t):
//   dq_t = sum_s ds_ts k_s,   dk_s = sum_t ds_ts q_t,   dv_s = sum_t p_ts g_t
void causal_attention_backward(const AttentionGrads& to, const Tensor& grad, const Tensor& out, const Tensor& lse, const Tensor& q,
                               const Tensor& k, const Tensor& v, double scale);

}  // namespace assay::ops
