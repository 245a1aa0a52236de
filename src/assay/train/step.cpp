#include "assay/train/step.h"

#include <ATen/ops/isfinite.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "assay/core/error.h"

namespace assay::train {
namespace {

bool finite(const Tensor& t) { return at::isfinite(t).all().item().toBool(); }

}  // namespace

std::string first_nonfinite(const arch::Built& built, std::span<const Batch> micro_batches) {
  const at::NoGradGuard no_grad;
  std::string culprit;
  const arch::Observer look = [&](std::string_view name, const Tensor& state) {
    if (culprit.empty() && !finite(state)) culprit = "state '" + std::string(name) + "'";
  };
  for (const auto& e : built.params->entries())
    if (!finite(e.value)) return "parameter '" + e.name + "'";
  for (const Batch& b : micro_batches) {
    const Tensor logits = built.model->forward(b.ids_BT, &look);
    if (culprit.empty() && !finite(logits)) culprit = "the logits";
    if (!culprit.empty()) return culprit;
  }
  for (const auto& e : built.params->entries())
    if (e.treatment.trained && !finite(e.value.grad())) return "the gradient of '" + e.name + "'";
  return "the loss";
}

double accumulate_gradients(const arch::Built& built, std::span<const Batch> micro_batches, arch::Pass first) {
  built.params->grads().zero_();
  double total = 0;
  for (const Batch& b : micro_batches) {
    built.model->begin(first);
    ++first.batch;
    const Tensor loss = built.model->training_loss(b.ids_BT, b.targets_BT);
    torch::autograd::backward({loss / static_cast<double>(micro_batches.size())}, {});
    total += loss.item().toDouble();
  }
  built.model->begin({});
  return total / static_cast<double>(micro_batches.size());
}

StepResult training_step(const arch::Built& built, optim::Optimizer& optimizer, std::span<const Batch> micro_batches, double lr,
                         double clip, const arch::Update& update, const arch::Pass& first) {
  const auto own = [&](auto&& change) {
    const at::NoGradGuard no_grad;
    change(*built.model);
  };
  StepResult r;
  own([&](arch::Model& m) { m.before_update(update, micro_batches.front().ids_BT); });
  {
    const at::AutoGradMode graph(true);
    built.model->begin_passes();
  }
  r.loss = accumulate_gradients(built, micro_batches, first);
  own([](arch::Model& m) { m.adjust_gradients(); });
  r.grad_norm = optim::clip_gradient(built.params->grads(), clip);
  if (!std::isfinite(r.loss) || !std::isfinite(r.grad_norm))
    throw core::NumericsError("train", "update " + std::to_string(update.number) + ": " + first_nonfinite(built, micro_batches) +
                                           " is not finite (loss " + std::to_string(r.loss) + ", gradient norm " +
                                           std::to_string(r.grad_norm) + "); the weights are those before this update");
  optimizer.update(lr);
  own([&](arch::Model& m) { m.after_update(update); });
  return r;
}

}  // namespace assay::train
