#pragma once
#include "assay/optim/rules.h"

namespace assay::optim {

// Gradient conditioning [components 8]: before the optimizer, g' = s_k g + b_k for tensor k. Tensors with two dimensions or more, in
// order, k = 0..K-1: N elements, leading dimension l, fan-in n = N / l, n~ the geometric mean of the fan-ins, d = (k + 1/2) / K:
//   s_k = clip(s0 (n~ / n_k)^p (1 + q (1 - 2 d_k)), 1/4, 4),   b_k = (-1)^k b0 / sqrt(N_k);   others: s = 1, b = 0
//   rule        both           scale_only, shift_only   one of them
//   permuted    scale_only with the scales in another order; random: scales drawn from a lognormal of the same mean and spread of logs
//   learnt      from the rule on: s_k += eta lr <g, g_before> / |g_before|^2 (kept in [1/4, 4]), b_k += eta lr mean(g), with raw gradients,
//               before g is conditioned; not in the first update, not where g_before = 0
struct Conditioning {
  std::vector<double> scale, shift;  // by tensor
};
Conditioning conditioning_rule(const std::vector<std::vector<int64_t>>& shapes, const OptimConfig& config);

}  // namespace assay::optim
