#pragma once
#include "assay/arch/transformer/decoder/part.h"
#include "assay/ops/loss_head/loss_head.h"

// The training loss over the positions that count [components 11.1]; position i is the prediction made after reading token i.
//   L = mean over loss_first .. loss_last of  (1 - s) (-log p_y) + s mean_v (-log p_v) + z (log sum_v e^logit_v)^2
// s = label_smoothing, z = z_loss. Validation is the plain cross-entropy over the same positions.
namespace assay::arch::decoder {

struct ObjectiveConfig {
  int64_t loss_first = -1, loss_last = -1;
  double label_smoothing = 0, z_loss = 0;
  static const core::Schema& schema();
  void check() const;
  std::pair<int64_t, int64_t> scored(int64_t T) const;
  ops::LossHead head(int64_t T) const;
};

Tensor objective(const ObjectiveConfig& c, const Tensor& logits_BTV, const Tensor& targets_BT);
// Of the logits z table^T, which nobody else sees.
Tensor objective(const ObjectiveConfig& c, const Tensor& z_BTC, const Tensor& table_VC, const Tensor& targets_BT,
                 tensor::Precision precision);

}  // namespace assay::arch::decoder
