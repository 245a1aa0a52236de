#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "assay/audit/vectors.h"

namespace assay::audit {

ParityReport replay_model(const Vectors& v, const ParityOptions& options) {
  const train::Batch b = v.batch(-1, options);
  const arch::Built built = v.build(b.ids_BT.size(1), options);
  const Tensor logits = built.model->forward(b.ids_BT);
  const Tensor loss = built.model->loss(logits, b.targets_BT);
  torch::autograd::backward({loss}, {});
  const at::NoGradGuard no_grad;
  built.model->adjust_gradients();  // what is compared is what an optimizer receives
  ParityReport r{v.path(), "model", {}};
  r.deviations.push_back(v.compare("logits", logits, 1e-5 * std::max(1.0, v.largest("logits"))));
  r.deviations.push_back(v.compare("loss", loss, 1e-5));
  const double bound = 1e-5 * v.largest("grad/");
  for (const auto& e : built.params->entries())
    if (v.has("grad/" + e.name)) r.deviations.push_back(v.compare("grad/" + e.name, e.value.grad(), bound));
  return r;
}

}  // namespace assay::audit
