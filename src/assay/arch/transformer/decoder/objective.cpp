#include "assay/arch/transformer/decoder/objective.h"

#include "assay/ops/loss_head/linear_loss_head.h"

namespace assay::arch::decoder {

const core::Schema& ObjectiveConfig::schema() {
  using core::option;
  static const core::Schema s = core::declare<ObjectiveConfig>(
      "model", {
                   option("loss_first", &ObjectiveConfig::loss_first, "first position that the loss counts; -1 = all", -1, 1 << 20),
                   option("loss_last", &ObjectiveConfig::loss_last, "last position that the loss counts; -1 = loss_first", -1, 1 << 20),
                   option("label_smoothing", &ObjectiveConfig::label_smoothing, "share of the target spread over the vocabulary", 0, 1),
                   option("z_loss", &ObjectiveConfig::z_loss, "weight of the squared log-partition in the training loss", 0, 1),
               });
  return s;
}

void ObjectiveConfig::check() const {
  if (loss_last >= 0 && loss_last < loss_first)
    refuse("loss_last=" + std::to_string(loss_last) + " lies before loss_first=" + std::to_string(loss_first));
}

std::pair<int64_t, int64_t> ObjectiveConfig::scored(int64_t T) const {
  if (loss_first < 0) return {0, T};
  return {loss_first, (loss_last < 0 ? loss_first : loss_last) + 1};
}

ops::LossHead ObjectiveConfig::head(int64_t T) const {
  const auto [first_position, end] = scored(T);
  return {.z_loss = z_loss, .smoothing = label_smoothing, .first = first_position, .last = end};
}

Tensor objective(const ObjectiveConfig& c, const Tensor& logits_BTV, const Tensor& targets_BT) {
  return ops::loss_head(logits_BTV, {}, targets_BT, c.head(targets_BT.size(1)));
}

Tensor objective(const ObjectiveConfig& c, const Tensor& z_BTC, const Tensor& table_VC, const Tensor& targets_BT,
                 tensor::Precision precision) {
  return ops::linear_loss_head(z_BTC, table_VC, targets_BT, c.head(targets_BT.size(1)), precision);
}

}  // namespace assay::arch::decoder
