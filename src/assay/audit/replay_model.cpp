#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "assay/audit/vectors.h"

namespace assay::audit {

namespace {

// The published notebook's residual: its vectors state ten times the bound.
bool divides_by_a_sum_near_zero(const Vectors& v) {
  const core::Value config = v.metadata("config");
  const core::Value* residual = config.find("residual");
  return residual != nullptr && *residual == core::Value("notebook");
}

}  // namespace

ParityReport replay_model(const Vectors& v, const ParityOptions& options) {
  const train::Batch b = v.batch(-1, options);
  const arch::Built built = v.build(b.ids_BT.size(1), options);
  const auto mode = v.file().metadata().find("mode");
  if (mode != v.file().metadata().end() && mode->second == "train") built.model->begin({.training = true});
  const Tensor logits = built.model->forward(b.ids_BT);
  const Tensor loss = built.model->loss(logits, b.targets_BT);
  torch::autograd::backward({loss}, {});
  const at::NoGradGuard no_grad;
  built.model->adjust_gradients();  // what is compared is what an optimizer receives
  ParityReport r{v.path(), "model", {}};
  const double unit = divides_by_a_sum_near_zero(v) ? 1e-4 : 1e-5;
  r.deviations.push_back(v.compare("logits", logits, unit * std::max(1.0, v.largest("logits"))));
  r.deviations.push_back(v.compare("loss", loss, unit));
  const double bound = unit * v.largest("grad/");
  for (const auto& e : built.params->entries())
    if (v.has("grad/" + e.name)) r.deviations.push_back(v.compare("grad/" + e.name, built.params->view(built.params->grads(), e), bound));
  if (v.names("state_after/").empty()) return r;
  built.model->after_update({});
  for (const auto& s : built.params->states())
    if (v.has("state_after/" + s.name))
      r.deviations.push_back(v.compare("state_after/" + s.name, s.value, 1e-5 * std::max(1.0, v.largest("state_after/" + s.name))));
  return r;
}

}  // namespace assay::audit
