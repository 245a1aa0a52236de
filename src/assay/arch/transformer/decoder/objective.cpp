#include "assay/arch/transformer/decoder/objective.h"

#include "assay/arch/transformer/decoder/component.h"
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

namespace {
constexpr Control mask_controls[] = {{"loss_first=-1", "all positions count: most of such a loss is about what cannot be known"}};
constexpr Control smoothing_controls[] = {{"label_smoothing=0", "validation counts the plain cross-entropy in both"}};
constexpr Control z_controls[] = {{"z_loss=0", "whether the log-partition drifted at all"}};
}  // namespace
extern const Component component_loss_mask, component_label_smoothing, component_z_loss;
constinit const Component component_loss_mask{
    .name = "loss_mask",
    .summary = "only the positions of the answer count",
    .place = "training loss and validation",
    .on = "loss_first=4",
    .options = "loss_first loss_last",
    .equations = "L = mean over positions loss_first .. loss_last of -log p_y;  position i is the prediction made after reading token i",
    .cost = "nothing: all positions are computed",
    .source = "KintaroAI, experiments 10, 12 and 14",
    .claim = "modular addition is learnt by step 500 where all positions needed far longer; without decay it \"groks\" to 1e-4",
    .trust = "one seed, loss without accuracy, and 49 % of the validation pairs have their mirror image in training. The bound of the loss "
             "over all\n"
             "eight positions is 1.1437, not 1.307. Use the tasks that are split by unordered pairs (assay list tasks), and metric = "
             "\"accuracy\"",
    .controls = mask_controls,
};
constinit const Component component_label_smoothing{
    .name = "label_smoothing",
    .summary = "a share of the target is spread over the vocabulary",
    .place = "the training loss",
    .on = "label_smoothing=0.1",
    .options = "label_smoothing",
    .equations = "(1 - s) (-log p_y) + s mean_v (-log p_v)",
    .cost = "one sum over the logits",
    .source = "Szegedy et al. 2016",
    .claim = "better calibrated classifiers",
    .trust = "costs validation loss by construction in language models: the right distribution is not smoothed",
    .controls = smoothing_controls,
};
constinit const Component component_z_loss{
    .name = "z_loss",
    .summary = "keeps the log-partition near zero",
    .place = "the training loss",
    .on = "z_loss=0.0001",
    .options = "z_loss",
    .equations = "-log p_y + z (log sum_v e^logit_v)^2",
    .cost = "none beyond the log-partition that the loss has",
    .source = "Chowdhery et al. 2022",
    .claim = "logits do not drift in bf16 trainings",
    .trust = "a matter of stability; expect no difference in a short fp32 run",
    .controls = z_controls,
};

}  // namespace assay::arch::decoder
