#include "assay/layers/loss.h"

#include <ATen/ops/cross_entropy_loss.h>

namespace assay::layers {

Tensor cross_entropy(const Tensor& logits, const Tensor& targets) {
  return at::cross_entropy_loss(logits.reshape({-1, logits.size(-1)}), targets.reshape({-1}));
}

Tensor cross_entropy_at(const Tensor& logits_BTV, const Tensor& targets_BT, int64_t first, int64_t last) {
  if (first < 0) return cross_entropy(logits_BTV, targets_BT);
  const int64_t count = last - first + 1;
  return cross_entropy(logits_BTV.narrow(1, first, count), targets_BT.narrow(1, first, count));
}

}  // namespace assay::layers
