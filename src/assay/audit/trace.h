#pragma once
#include "assay/audit/subject.h"

namespace assay::audit {

enum class Mode { evaluation, training };
const char* name_of(Mode mode);
// Both, but for a model whose evaluations differ from call to call.
std::vector<Mode> comparable_modes(const Subject& s);

// Every state that a model offers on its way, in order, the logits last; each [B, T, n].
struct State {
  std::string name;
  Tensor value;
};
using Trace = std::vector<State>;

// One forward pass. Evaluation is as in validation, without a graph; training with `pass` and a graph.
Trace trace(const arch::Built& built, const Tensor& input, Mode mode, const arch::Pass& pass = {});

// Bit for bit, except that a NaN equals a NaN.
bool same(const Tensor& a, const Tensor& b);

// The first state of which `differs(a, b)` for its counterpart; null: none. States are matched by position, and one that is not there in both
// traces, or whose name changed, counts as different.
template <class Differs>
const State* first_difference(const Trace& a, const Trace& b, Differs differs) {
  for (size_t i = 0; i < a.size(); ++i)
    if (i >= b.size() || a[i].name != b[i].name || differs(a[i].value, b[i].value)) return &a[i];
  return a.size() < b.size() ? &b[a.size()] : nullptr;
}

// What a state's name says to people: a mixer's state also says which mixer.
std::string place(const Subject& s, const State& state);

}  // namespace assay::audit
