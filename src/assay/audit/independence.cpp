#include <ATen/ops/cat.h>

#include <algorithm>

#include "assay/audit/checks.h"
#include "assay/audit/trace.h"

namespace assay::audit {
namespace {

constexpr double kFar = 3, kFarTolerance = 1e-9;  // large weights amplify rounding

// Sums of another shape may be taken in another order: the tolerance is of rounding, relative to the largest value.
double tolerance(at::ScalarType dtype) { return dtype == at::kDouble ? 1e-12 : 1e-5; }

bool apart(const Tensor& a, const Tensor& b, double relative) {
  if (a.numel() == 0) return false;
  const double scale = b.abs().max().item().toDouble();
  return !((a - b).abs().max().item().toDouble() <= relative * scale);  // a NaN is apart
}

std::string dtype_name(at::ScalarType dtype) { return dtype == at::kDouble ? "float64" : "float32"; }

// Compares two passes that must agree, in float64, and in float32 where the model does not amplify rounding beyond the tolerance.
template <class Run>
void compare(const Subject& s, CheckResult& r, const std::string& what, Run run) {
  for (const Mode mode : comparable_modes(s))
    for (const at::ScalarType dtype : {at::kDouble, at::kFloat}) {
      const arch::Built b = s.build_exact(dtype);
      const auto [got, want] = run(b, mode);
      const State* first = first_difference(
          got, want, [&](const Tensor& a, const Tensor& c) { return a.sizes() != c.sizes() || apart(a, c, tolerance(dtype)); });
      if (first == nullptr) continue;
      r.findings.push_back({place(s, *first), what + " (" + dtype_name(dtype) + ", " + name_of(mode) + ")"});
      return;
    }
}

Trace narrowed(const Trace& whole, int64_t dim, int64_t length) {
  Trace part;
  for (const State& state : whole)
    part.push_back({state.name, state.value.size(dim) > length ? state.value.narrow(dim, 0, length) : state.value});
  return part;
}

}  // namespace

void check_prefix_consistency(const Subject& s, CheckResult& r) {
  r.note = "a prefix by itself gives the states of the whole, to 1e-5 of the largest in float32 and 1e-12 in float64";
  const int64_t T = std::min(s.seq_len(), s.enough(24));
  const Tensor ids = s.ids(2, T, 11);
  for (const int64_t t : {T / 3, T - 1}) {
    if (t < 1) continue;
    compare(s, r, "the first " + std::to_string(t) + " tokens alone give another result than the first of " + std::to_string(T),
            [&](const arch::Built& b, Mode mode) {
              const Trace whole = trace(b, ids, mode, s.training_pass(0));
              return std::pair(trace(b, ids.narrow(1, 0, t).contiguous(), mode, s.training_pass(0)), narrowed(whole, 1, t));
            });
    if (!r.pass()) return;
  }
  if (!s.evaluation_repeats()) return;
  // Weights far from their start, in float64: what depends on the length may show only there, as a decay does that is clamped when it is fast.
  const arch::Built far = s.build_exact(at::kDouble);
  perturb(far, s.seed(), "audit/far", kFar);
  const Trace whole = narrowed(trace(far, ids, Mode::evaluation), 1, std::max<int64_t>(1, T / 3));
  const Trace alone = trace(far, ids.narrow(1, 0, std::max<int64_t>(1, T / 3)).contiguous(), Mode::evaluation);
  const State* first =
      first_difference(alone, whole, [](const Tensor& a, const Tensor& b) { return a.sizes() != b.sizes() || apart(a, b, kFarTolerance); });
  if (first != nullptr)
    r.findings.push_back(
        {place(s, *first), "a prefix alone gives another result than in a longer row (float64, weights far from their start)"});
}

void check_batch_independence(const Subject& s, CheckResult& r) {
  r.note = "a row's states do not depend on the other rows, to 1e-5 of the largest in float32 and 1e-12 in float64";
  const int64_t T = std::min(s.seq_len(), s.enough(24));
  const Tensor row = s.ids(1, T, 21), batch = at::cat({row, s.ids(2, T, 22)}), other = at::cat({row, s.ids(2, T, 23)});
  const auto first_row = [&](const arch::Built& b, const Tensor& ids, Mode mode) {
    return narrowed(trace(b, ids, mode, s.training_pass(0)), 0, 1);
  };
  compare(s, r, "a row's result changes with the other rows of its batch",
          [&](const arch::Built& b, Mode mode) { return std::pair(first_row(b, batch, mode), first_row(b, other, mode)); });
  if (!r.pass()) return;
  compare(s, r, "a row alone gives another result than in a batch",
          [&](const arch::Built& b, Mode mode) { return std::pair(first_row(b, batch, mode), first_row(b, row, mode)); });
}

void check_noise(const Subject& s, CheckResult& r) {
  r.note = "noise is off in evaluation, repeats with the batch's number, and differs between rows";
  const int64_t T = std::min(s.seq_len(), s.enough(24));
  const Tensor row = s.ids(1, T, 31), rows = at::cat({row, row});
  const arch::Built& b = *s.weights()[1].built;
  const auto differ = [](const Tensor& x, const Tensor& y) { return !same(x, y); };
  const Trace evaluated = trace(b, rows, Mode::evaluation);
  if (const State* at = first_difference(evaluated, trace(b, rows, Mode::evaluation), differ))
    r.findings.push_back({place(s, *at), "two evaluations of the same tokens differ"});
  const Trace now = trace(b, rows, Mode::training, s.training_pass(0));
  if (const State* at = first_difference(now, trace(b, rows, Mode::training, s.training_pass(0)), differ))
    r.findings.push_back({place(s, *at), "two training passes over the same batch differ: its noise is not a function of seed and batch"});
  const State* noisy = first_difference(now, trace(b, rows, Mode::training, s.training_pass(1)), differ);
  if (noisy == nullptr || !r.pass()) return;
  const size_t at =
      static_cast<size_t>(std::find_if(now.begin(), now.end(), [&](const State& x) { return x.name == noisy->name; }) - now.begin());
  const Tensor& state = now[at].value;
  if (same(state.narrow(0, 0, 1), state.narrow(0, 1, 1)))
    r.findings.push_back(
        {place(s, now[at]), "two rows of a batch with the same tokens get the same noise: its randomness is shared across rows"});
}

void check_state(const Subject& s, CheckResult& r) {
  r.note = "a result does not depend on earlier calls, and no pass changes a parameter";
  const arch::Built unused = s.perturbed(), b = s.perturbed();
  const Tensor values = b.params->values().detach().clone();
  const int64_t T = std::min(s.seq_len(), s.enough(24)), longer = std::min<int64_t>(s.seq_len(), 40);
  const Tensor ids = s.ids(2, T, 41);
  trace(b, s.ids(3, longer, 43), Mode::evaluation);
  trace(b, s.ids(2, T, 42), Mode::evaluation);
  const train::Batch batch = s.batch(0);
  train::accumulate_gradients(b, {&batch, 1}, s.training_pass(0));
  for (const auto& e : b.params->entries())
    if (!same(b.params->view(values, e), b.params->view(b.params->values(), e)))
      r.findings.push_back({e.name, "forward or backward changes this parameter; only the optimizer may"});
  if (!r.pass() || !s.evaluation_repeats()) return;
  const Trace first = trace(unused, ids, Mode::evaluation);
  const State* at = first_difference(first, trace(b, ids, Mode::evaluation), [](const Tensor& x, const Tensor& y) { return !same(x, y); });
  if (at != nullptr)
    r.findings.push_back({place(s, *at), "the same tokens give another result after other calls: something is kept between them"});
}

}  // namespace assay::audit
