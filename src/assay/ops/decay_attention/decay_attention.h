#pragma once
#include <tuple>

#include "assay/tensor/aten.h"

namespace assay::ops {

// Decay-weighted linear attention: causal, without softmax, each key fading with its distance.
//
//   o_t = sum_{s<t} lambda^(t-s-1) (q_t . k_s) v_s,      lambda = sigmoid(decay_logit)
//
// q, k [B, H, T, c]; v [B, H, T, d]; decay_logit [H]; result [B, H, T, d]. All float32 or all float64, on one device; any strides.
// q, k, v may be bfloat16 beside a float32 decay_logit: the result then is too.
// Strictly causal: position t never reads itself, o_0 = 0. With bf16 = true the operands of the three products are rounded
// to bf16 and summed in float32; the decay stays in float32. Saved for backward: the inputs. Differentiable once; a second derivative
// is refused with a message. Equation: causal linear attention (Katharopoulos et al. 2020) with a scalar decay a head.
Tensor decay_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& decay_logit, bool bf16 = false);

// Gradients of (q, k, v, decay_logit) for an upstream `grad` of the result's shape:
//   dq_t = sum_{s<t} w_ts (g_t.v_s) k_s,  dk_s = sum_{t>s} w_ts (g_t.v_s) q_t,  dv_s = sum_{t>s} w_ts (q_t.k_s) g_t,
//   ddelta = (1 - lambda) sum_{t>s} (t-s-1) w_ts (q_t.k_s)(g_t.v_s),   w_ts = lambda^(t-s-1)
using DecayAttentionGrads = std::tuple<Tensor, Tensor, Tensor, Tensor>;
DecayAttentionGrads decay_attention_backward(const Tensor& grad, const Tensor& q, const Tensor& k, const Tensor& v,
                                             const Tensor& decay_logit, bool bf16);

// Ground truth, in ordinary differentiable ATen over the whole T x T table; never registered with the dispatcher.
Tensor decay_attention_reference(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& decay_logit);

// Shapes and dtypes as above, else c10::Error that begins with [decay_attention].
void check_decay_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& decay_logit);

}  // namespace assay::ops
