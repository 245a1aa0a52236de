#include <ATen/ops/isfinite.h>

#include <algorithm>
#include <cmath>

#include "assay/audit/checks.h"
#include "assay/audit/trace.h"

namespace assay::audit {
namespace {

bool finite(const Tensor& t) { return at::isfinite(t).all().item().toBool(); }

Tensor repeating(const Subject& s, int64_t T, int64_t period) {
  const Tensor word = s.ids(2, period, 71);
  return word.repeat({1, (T + period) / period}).narrow(1, 0, T + 1);
}

// Forward and backward on tokens [2, T + 1].
void look(const Subject& s, const Subject::Weights& w, const Tensor& tokens, const std::string& what, CheckResult& r) {
  const int64_t T = tokens.size(1) - 1;
  const train::Batch batch{tokens.narrow(1, 0, T).contiguous(), tokens.narrow(1, 1, T).contiguous()};
  for (const State& state : trace(*w.built, batch.ids_BT, Mode::evaluation))
    if (!finite(state.value)) {
      r.findings.push_back({place(s, state), "not finite on " + what + " (" + w.name + " weights)"});
      return;
    }
  const auto [first, end] = w.built->model->scored(T);
  if (first < 0 || end > T) return;  // a loss at positions that so short a row does not have
  const double loss = train::accumulate_gradients(*w.built, {&batch, 1}, s.training_pass(0));
  if (!std::isfinite(loss)) r.findings.push_back({"loss", "not finite on " + what + " (" + w.name + " weights)"});
  for (const auto& e : w.built->params->entries())
    if (!finite(w.built->params->view(w.built->params->grads(), e))) {
      r.findings.push_back({e.name, "its gradient is not finite on " + what + " (" + w.name + " weights)"});
      return;
    }
}

}  // namespace

void check_finite(const Subject& s, CheckResult& r) {
  r.note = "states, loss and gradients are finite on 1, 2 and 3 tokens, on constant and on periodic input";
  const int64_t T = std::min(s.seq_len(), s.enough(64));
  for (const Subject::Weights& w : s.weights()) {
    for (int64_t length = 1; length <= std::min<int64_t>(3, s.seq_len()); ++length)
      look(s, w, s.ids(2, length + 1, static_cast<uint64_t>(70 + length)), std::to_string(length) + (length == 1 ? " token" : " tokens"),
           r);
    look(s, w, repeating(s, T, 1), "constant input", r);
    look(s, w, repeating(s, T, std::min<int64_t>(3, T)), "periodic input", r);
    if (!r.pass()) return;
  }
}

}  // namespace assay::audit
