#include <torch/csrc/autograd/autograd.h>

#include <ATen/ops/cat.h>
#include <ATen/ops/one_hot.h>
#include <ATen/ops/randn_like.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <set>

#include "assay/audit/checks.h"
#include "assay/audit/trace.h"

namespace assay::audit {
namespace {

constexpr int64_t kRows = 2;

std::vector<int64_t> positions(int64_t T) {
  std::set<int64_t> at = {1, T / 2, T - 1};
  std::erase_if(at, [T](int64_t t) { return t < 1 || t >= T; });
  return {at.begin(), at.end()};
}

// The same tokens up to `t` and others from there on. The first of them becomes the one before it, where that is a change: a mixer that only
// looks at what resembles the present token would not show a leak otherwise.
Tensor changed_from(const Subject& s, const Tensor& ids_BT, int64_t t) {
  const int64_t T = ids_BT.size(1), V = s.vocab();
  const Tensor shift = s.ids(ids_BT.size(0), T - t, 77).remainder(V - 1) + 1;  // never by 0: every later token changes
  const Tensor later = (ids_BT.narrow(1, t, T - t) + shift).remainder(V), before = ids_BT.narrow(1, t - 1, 1);
  const Tensor repeats = at::where(ids_BT.narrow(1, t, 1) != before, before, later.narrow(1, 0, 1));
  return at::cat({ids_BT.narrow(1, 0, t), repeats, later.narrow(1, 1, T - t - 1)}, 1);
}

// Where a leak was seen and where it was not: says more than the first case.
class Sightings {
 public:
  // `depth` counts states from the input: the earliest state of all sightings is named.
  void add(const std::string& weights, Mode mode, int64_t T, int64_t t, std::ptrdiff_t depth, const std::string& where) {
    if (where_.empty() || depth < depth_) {
      where_ = where;
      depth_ = depth;
      first_ = "T=" + std::to_string(T) + ", first changed token " + std::to_string(t) + ", " + weights + " weights, " + name_of(mode);
    }
    modes_.insert(mode);
    lengths_.insert(T);
  }
  void clean(Mode mode, int64_t T) {
    clean_modes_.insert(mode);
    clean_lengths_.insert(T);
  }
  bool any() const { return !where_.empty(); }
  const std::string& where() const { return where_; }
  std::string text() const {
    std::string s = first_;
    if (modes_.size() == 1 && clean_modes_.count(other(*modes_.begin())) != 0)
      s += std::string("; in ") + name_of(*modes_.begin()) + " only";
    int64_t longest_clean = 0;
    for (const int64_t T : clean_lengths_)
      if (lengths_.count(T) == 0) longest_clean = std::max(longest_clean, T);
    if (longest_clean > 0 && longest_clean < *lengths_.begin())
      s += "; only beyond T=" + std::to_string(longest_clean) + " of the lengths that were tried";
    return s;
  }

 private:
  static Mode other(Mode m) { return m == Mode::evaluation ? Mode::training : Mode::evaluation; }
  std::string where_, first_;
  std::ptrdiff_t depth_ = 0;
  std::set<Mode> modes_, clean_modes_;
  std::set<int64_t> lengths_, clean_lengths_;
};

void look_by_value(const Subject& s, const Subject::Weights& w, Mode mode, int64_t T, Sightings& seen) {
  const Tensor ids = s.ids(kRows, T, static_cast<uint64_t>(T));
  const arch::Pass pass = s.training_pass(0);
  const Trace before = trace(*w.built, ids, mode, pass);
  bool clean = true;
  for (const int64_t t : positions(T)) {
    const Trace after = trace(*w.built, changed_from(s, ids, t), mode, pass);
    const State* first = first_difference(before, after, [&](const Tensor& a, const Tensor& b) {
      return a.dim() < 2 || a.size(1) != T ? false : !same(a.narrow(1, 0, t), b.narrow(1, 0, t));
    });
    if (first == nullptr) continue;
    clean = false;
    seen.add(w.name, mode, T, t, first - before.data(), place(s, *first));
  }
  if (clean) seen.clean(mode, T);
}

// Derivative of a random combination of the state's positions before t by the input from t on: exactly zero where nothing flows back.
bool flows(const Tensor& state_BTN, const Tensor& input_BTV, int64_t t) {
  if (!state_BTN.requires_grad() || state_BTN.dim() < 2 || state_BTN.size(1) != input_BTV.size(1)) return false;
  const Tensor early = state_BTN.narrow(1, 0, t);
  const auto grads = torch::autograd::grad({(early * at::randn_like(early)).sum()}, {input_BTV}, {}, true, false, true);
  if (!grads[0].defined()) return false;
  return (grads[0].narrow(1, t, input_BTV.size(1) - t) != 0).any().item().toBool();
}

// Empty: no gradient from the future; else where it enters first.
std::string look_by_gradient(const Subject& s, const Subject::Weights& w, Mode mode, int64_t T) {
  const Tensor ids = s.ids(kRows, T, static_cast<uint64_t>(T));
  Tensor dense = at::one_hot(ids, s.vocab()).to(w.built->params->dtype());
  dense.requires_grad_(true);
  const at::AutoGradMode graph(true);
  Trace states;
  const arch::Observer look = [&](std::string_view name, const Tensor& state) { states.push_back({std::string(name), state}); };
  w.built->model->begin(mode == Mode::training ? s.training_pass(0) : arch::Pass{});
  states.push_back({"logits", w.built->model->forward(dense, &look)});
  w.built->model->begin({});
  for (const int64_t t : positions(T)) {
    if (!flows(states.back().value, dense, t)) continue;
    for (const State& state : states)
      if (flows(state.value, dense, t))
        return place(s, state) + "\nT=" + std::to_string(T) + ", from token " + std::to_string(t) + " on, " + w.name + " weights, " +
               name_of(mode);
  }
  return "";
}

// The dense path is the gather path: else a derivative through it says nothing.
bool dense_path_agrees(const Subject& s, const Subject::Weights& w, CheckResult& r) {
  const at::NoGradGuard no_grad;
  const Tensor ids = s.ids(kRows, s.lengths().front(), 5);
  const Tensor gathered = w.built->model->forward(ids);
  const Tensor dense = w.built->model->forward(at::one_hot(ids, s.vocab()).to(gathered.scalar_type()));
  const double error = (gathered - dense).abs().max().item().toDouble(), scale = gathered.abs().max().item().toDouble();
  if (error <= 1e-5 * scale) return true;
  r.findings.push_back({"logits", "one-hot rows give other logits than the ids that they mean: off by " + std::to_string(error) + " of " +
                                      std::to_string(scale)});
  return false;
}

}  // namespace

void check_causality(const Subject& s, CheckResult& r) {
  r.note = "earlier states are bit-identical when later tokens change";
  Sightings seen;
  for (const Subject::Weights& w : s.weights())
    for (const Mode mode : comparable_modes(s))
      for (const int64_t T : s.lengths())
        if (T > 1) look_by_value(s, w, mode, T, seen);
  if (seen.any())
    r.findings.push_back(
        {seen.where(), "depends on the future: it changes at positions before the first changed token (" + seen.text() + ")"});
}

void check_causality_of_gradients(const Subject& s, CheckResult& r) {
  if (s.arch().straight_through) {
    r.skipped = true;
    r.note = "gradients of this model pass where values do not (straight-through); causality is audited by values";
    return;
  }
  r.note = "derivatives of earlier logits by later inputs are exactly zero";
  const int64_t T = std::min(s.seq_len(), s.enough(17));
  if (T < 2) return;
  for (const Subject::Weights& w : s.weights()) {
    if (s.evaluation_repeats() && !dense_path_agrees(s, w, r)) return;
    for (const Mode mode : comparable_modes(s)) {
      const std::string found = look_by_gradient(s, w, mode, T);
      if (found.empty()) continue;
      const size_t line = found.find('\n');
      r.findings.push_back({found.substr(0, line), "its derivative by later inputs is not zero (" + found.substr(line + 1) + ")"});
      return;
    }
  }
}

}  // namespace assay::audit
