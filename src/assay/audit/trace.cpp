#include "assay/audit/trace.h"

#include <ATen/ops/equal.h>

namespace assay::audit {

const char* name_of(Mode mode) { return mode == Mode::evaluation ? "evaluation" : "training"; }

std::vector<Mode> comparable_modes(const Subject& s) {
  return s.evaluation_repeats() ? std::vector<Mode>{Mode::evaluation, Mode::training} : std::vector<Mode>{Mode::training};
}

Trace trace(const arch::Built& built, const Tensor& input, Mode mode, const arch::Pass& pass) {
  const at::AutoGradMode graph(mode == Mode::training);
  Trace states;
  const arch::Observer look = [&](std::string_view name, const Tensor& state) { states.push_back({std::string(name), state}); };
  built.model->begin(mode == Mode::training ? pass : arch::Pass{});
  states.push_back({"logits", built.model->forward(input, &look)});
  built.model->begin({});
  return states;
}

bool same(const Tensor& a, const Tensor& b) {
  if (at::equal(a, b)) return true;
  return a.sizes() == b.sizes() && ((a == b) | ((a != a) & (b != b))).all().item().toBool();
}

std::string place(const Subject& s, const State& state) {
  if (state.name == "embed" || state.name == "final" || state.name == "logits") return state.name;
  return state.name + " (the model's mixer is " + std::string(s.arch().mixer) + ")";
}

}  // namespace assay::audit
