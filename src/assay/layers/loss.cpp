#include "assay/layers/loss.h"

#include <ATen/core/Reduction.h>
#include <ATen/ops/cross_entropy_loss.h>

namespace assay::layers {
namespace {

Tensor reduced(const Tensor& logits, const Tensor& targets, at::Reduction::Reduction how) {
  return at::cross_entropy_loss(logits.reshape({-1, logits.size(-1)}), targets.reshape({-1}), {}, how);
}

}  // namespace

Tensor cross_entropy(const Tensor& logits, const Tensor& targets) { return reduced(logits, targets, at::Reduction::Mean); }

Tensor token_cross_entropy(const Tensor& logits, const Tensor& targets) {
  return reduced(logits, targets, at::Reduction::None).view(targets.sizes());
}

}  // namespace assay::layers
