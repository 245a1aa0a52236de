#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <functional>
#include <numeric>

#include "assay/audit/checks.h"
#include "assay/core/random.h"
#include "assay/data/loader.h"

namespace assay::audit {
namespace {

constexpr int64_t kRows = 2;

// What a model states that its training loss has beside the cross-entropy, in the options of these names.
struct Extras {
  double smoothing = 0;  // label_smoothing: this share of the target is spread over the vocabulary
  double z = 0;          // z_loss: this times the square of the log-partition
  explicit Extras(const core::Value& options) {
    if (const core::Value* v = options.find("label_smoothing")) smoothing = v->as_double();
    if (const core::Value* v = options.find("z_loss")) z = v->as_double();
  }
  bool any() const { return smoothing > 0 || z > 0; }
};

// log of the sum of exponentials in double, from the definition.
double log_partition(const double* row, int64_t V) {
  double largest = row[0], sum = 0;
  for (int64_t v = 1; v < V; ++v) largest = std::max(largest, row[v]);
  for (int64_t v = 0; v < V; ++v) sum += std::exp(row[v] - largest);
  return largest + std::log(sum);
}

// (1 - s) (-log p_target) + s mean_v (-log p_v) + z log_partition^2.
double cost_of(const double* row, int64_t V, int64_t target, const Extras& extras) {
  const double lse = log_partition(row, V), mean = std::accumulate(row, row + V, 0.0) / static_cast<double>(V);
  return lse - (1 - extras.smoothing) * row[target] - extras.smoothing * mean + extras.z * lse * lse;
}

using Target = std::function<int64_t(int64_t row, int64_t t)>;

struct Example {
  Extras extras;
  Tensor logits_BTV, targets_BT;  // logits in double
  int64_t first = 0, end = 0;     // positions that count
  double mean(const Target& target) const {
    const int64_t T = logits_BTV.size(1), V = logits_BTV.size(2);
    double sum = 0;
    for (int64_t b = 0; b < kRows; ++b)
      for (int64_t t = first; t < end; ++t) sum += cost_of(logits_BTV.data_ptr<double>() + (b * T + t) * V, V, target(b, t), extras);
    return sum / static_cast<double>(kRows * (end - first));
  }
  int64_t at(int64_t b, int64_t t) const {
    const int64_t T = targets_BT.size(1);
    return targets_BT.data_ptr<int64_t>()[b * T + std::clamp<int64_t>(t, 0, T - 1)];
  }
};

Example example(const Subject& s, const arch::Model& model) {
  const int64_t T = std::min(s.seq_len(), s.enough(64)), V = model.vocab_size();
  const core::Stream stream(s.seed(), "audit/logits");
  Example e{Extras(s.config().model_options()), {}, {}};
  e.logits_BTV = at::empty({kRows, T, V}, at::TensorOptions().dtype(at::kDouble));
  for (int64_t i = 0; i < e.logits_BTV.numel(); ++i) e.logits_BTV.data_ptr<double>()[i] = 2 * stream.normal(static_cast<uint64_t>(i));
  e.logits_BTV = e.logits_BTV.to(at::kFloat).to(at::kDouble);
  e.targets_BT = s.ids(kRows, T, 81).to(at::kCPU);
  std::tie(e.first, e.end) = model.scored(T);
  return e;
}

bool close(double a, double b) { return std::abs(a - b) <= 1e-5 * std::max(1.0, std::abs(b)); }

// dL/dlogits [B, T, V] in double.
Tensor derivative(const Example& e, arch::Model& model, const at::Device& device) {
  Tensor logits = e.logits_BTV.to(at::kFloat).to(device).requires_grad_(true);
  const at::AutoGradMode graph(true);
  const auto grads = torch::autograd::grad({model.loss(logits, e.targets_BT.to(device))}, {logits});
  return grads[0].to(at::kCPU, at::kDouble).contiguous();
}

// Of the positions away from a row's ends, how many pull the logit up of the token `offset` behind the right one.
double share_pulled(const Example& e, const Tensor& gradient, int64_t offset) {
  const Tensor pulled = gradient.argmin(-1);
  int64_t hits = 0, all = 0;
  for (int64_t b = 0; b < kRows; ++b)
    for (int64_t t = e.first + 1; t + 1 < e.end; ++t, ++all) hits += pulled[b][t].item().toLong() == e.at(b, t + offset) ? 1 : 0;
  return all == 0 ? 0 : static_cast<double>(hits) / static_cast<double>(all);
}

// What a loss that is not the cross-entropy of the targets is instead.
std::string likeness(const Example& e, double loss, const Tensor& gradient) {
  if (share_pulled(e, gradient, -1) > 0.9) return "it is the loss against the token that the model was given, not the one that follows";
  if (share_pulled(e, gradient, 1) > 0.9) return "it is the loss against the token after the target: the targets are shifted twice";
  const double want = e.mean([&](int64_t b, int64_t t) { return e.at(b, t); });
  return "it is " + std::to_string(loss / want) + " of the cross-entropy";
}

// dL/dlogits: (p (1 + 2 z log_partition) - (1 - s) one-hot - s / V) / count where a position counts, else 0.
void check_gradient(const Example& e, const Tensor& got, CheckResult& r) {
  const int64_t T = e.logits_BTV.size(1), V = e.logits_BTV.size(2);
  const double count = static_cast<double>(kRows * (e.end - e.first));
  for (int64_t b = 0; b < kRows; ++b)
    for (int64_t t = 0; t < T; ++t) {
      const double* row = e.logits_BTV.data_ptr<double>() + (b * T + t) * V;
      const bool counts = t >= e.first && t < e.end;
      const double norm = log_partition(row, V), s = e.extras.smoothing;
      for (int64_t v = 0; v < V; ++v) {
        const double target = (v == e.at(b, t) ? 1 - s : 0) + s / static_cast<double>(V);
        const double want = counts ? (std::exp(row[v] - norm) * (1 + 2 * e.extras.z * norm) - target) / count : 0;
        if (std::abs(got.data_ptr<double>()[(b * T + t) * V + v] - want) <= 1e-5 / count) continue;
        r.findings.push_back(
            {"loss", "its derivative by the logits at position " + std::to_string(t) + " is not that of the cross-entropy"});
        return;
      }
    }
}

// Each token of the source is its own number, so that a row tells where it came from.
struct Counting final : data::TokenSource {
  uint64_t size() const override { return 1000; }
  void read(uint64_t offset, uint64_t n, uint16_t* out) const override { std::iota(out, out + n, static_cast<uint16_t>(offset)); }
  std::string hash() const override { return ""; }
};

bool follows(const data::Rows& rows) {
  for (size_t i = 0; i < rows.targets.size(); ++i) {
    if (rows.targets[i] != rows.inputs[i] + 1) return false;
    const bool first = i % static_cast<size_t>(rows.seq_len) == 0;
    if (!first && rows.inputs[i] != rows.inputs[i - 1] + 1) return false;
  }
  return true;
}

// What the model adds to the cross-entropy at the positions that count, after a pass over `ids`; undefined: nothing.
Tensor extra_after(const Tensor& ids, const Example& e, arch::Model& model, const at::Device& device) {
  const at::NoGradGuard no_grad;
  model.forward(ids);
  const Tensor extra_BT = model.extra_loss(e.targets_BT.to(device));
  return extra_BT.defined() ? extra_BT.narrow(1, e.first, e.end - e.first) : extra_BT;
}

}  // namespace

void check_loss(const Subject& s, CheckResult& r) {
  r.note =
      "the training loss and its derivative are those of the mean cross-entropy, computed anew in double from the logits, and of what the "
      "model says it adds; validation counts the cross-entropy alone";
  arch::Model& model = *s.weights()[0].built->model;
  const Example e = example(s, model);
  if (e.extras.any()) r.note += ", with the label smoothing and the z-loss that the options state";
  if (e.first < 0 || e.end > e.logits_BTV.size(1)) {
    r.skipped = true;
    r.note = "the loss counts positions that the run's sequences do not have";
    return;
  }
  const Tensor ids = s.ids(kRows, e.targets_BT.size(1), 82);
  model.begin({});
  if (extra_after(ids, e, model, s.device()).defined())
    r.findings.push_back(
        {"validation", "the model adds terms of its own to the cross-entropy in evaluation: its losses are not comparable"});
  model.begin(s.training_pass(0));
  const Tensor extra = extra_after(ids, e, model, s.device());
  const double loss = model.loss(e.logits_BTV.to(at::kFloat).to(s.device()), e.targets_BT.to(s.device())).item().toDouble();
  const double want = e.mean([&](int64_t b, int64_t t) { return e.at(b, t); }) + (extra.defined() ? extra.mean().item().toDouble() : 0);
  const Tensor gradient = derivative(e, model, s.device());
  if (!close(loss, want))
    r.findings.push_back({"loss", "the model's loss is " + std::to_string(loss) + " where the logits give " + std::to_string(want) + ": " +
                                      likeness(e, loss, gradient)});
  else check_gradient(e, gradient, r);
  model.begin({});
}

void check_alignment(const Subject& s, CheckResult& r) {
  r.note = "the target of each position is the token that follows it, in every order of training windows and in validation";
  const Counting source;
  const int64_t T = std::min<int64_t>(s.seq_len(), 16);
  for (const char* order : {"shuffled", "sequential", "blocks"})
    if (!follows(data::Loader(source, 3, T, data::order_from(order), s.seed()).batch(1)))
      r.findings.push_back({std::string("data.order=") + order, "a row's targets are not the tokens that follow its inputs"});
  if (!follows(data::validation_rows(source, T, 1, 3)))
    r.findings.push_back({"validation", "a row's targets are not the tokens that follow its inputs"});
}

}  // namespace assay::audit
