#include <ATen/ops/dot.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>

#include "assay/audit/checks.h"
#include "assay/core/random.h"

namespace assay::audit {
namespace {

constexpr double kStep = 1e-6;       // the longest, of every entry, times a normal number
constexpr int kSteps = 5;            // each a tenth of the one before: a steep loss bends within a step that a flat one is measured by
constexpr double kSure = 1e-7;       // of the gradient's length: own error of a step behind which no shorter one is tried
constexpr double kTolerance = 1e-6;  // of the gradient's length, which is what a derivative along a normal direction is about
constexpr double kOwnError = 1e-5;   // of the same length: the most that a difference may be excused by
constexpr uint64_t kTries = 3;       // a step may cross the edge of a piecewise function; a wrong derivative is wrong in every direction

// The training loss of one batch as a function of the parameters, in float64, with its gradient by the model's own backward pass.
class Slope {
 public:
  explicit Slope(const Subject& s) : s_(s), T_(std::min(s.seq_len(), s.enough(64))) {
    arch::BuildOptions options;
    options.device = s.device();
    options.dtype = at::kDouble;
    options.seed = s.seed();
    b_ = arch::build(s.arch(), s.config().model_options(), {s.vocab(), s.seq_len()}, options);
    perturb(b_, s.seed(), "audit/gradients");
    const Tensor tokens = s.ids(2, T_ + 1, 71);
    ids_BT_ = tokens.narrow(1, 0, T_).contiguous();
    targets_BT_ = tokens.narrow(1, 1, T_).contiguous();
    const at::AutoGradMode graph(true);
    torch::autograd::backward({loss()}, {});
  }

  // Whether the parameter's gradient is meant to be the derivative of the loss.
  bool derivative(const tensor::Params::Entry& e) const {
    const std::string_view stopped = s_.arch().stopped, name = e.name;
    return e.treatment.trained && (stopped.empty() || name.substr(name.rfind('.') + 1) != stopped);
  }

  double length() const { return at::linalg_vector_norm(b_.params->grads()).item().toDouble(); }
  const std::vector<tensor::Params::Entry>& entries() const { return b_.params->entries(); }

  // What the backward pass says of a random direction, less what the loss does along it, beyond what a difference of twice the length says
  // of the difference's own error (curvature and rounding), of which at most kOwnError of the gradient's length is believed: a direction across
  // a jump proves nothing. The step is the one whose difference is surest of itself, whatever the backward pass says. HUGE_VAL where the loss is
  // finite at none. `only` (null: all): the parameter that moves.
  double error(uint64_t number, const tensor::Params::Entry* only) const {
    const at::NoGradGuard no_grad;
    const Tensor direction = b_.params->like_values(), start = b_.params->values().clone();
    for (const auto& e : b_.params->entries())
      if (derivative(e) && (only == nullptr || only == &e)) fill(b_.params->view(direction, e), e.name, number);
    const auto at = [&](double step) {
      b_.params->values().copy_(start + step * direction);
      return loss().item().toDouble();
    };
    const double backward = at::dot(b_.params->grads(), direction).item().toDouble();
    double found = HUGE_VAL, own = HUGE_VAL, h = kStep;  // of the step whose difference is surest of itself
    for (int i = 0; i < kSteps && !(own <= kSure * length()); ++i, h /= 10) {
      const double slope = (at(h) - at(-h)) / (2 * h), wider = (at(2 * h) - at(-2 * h)) / (4 * h);
      if (!std::isfinite(slope) || !(std::abs(wider - slope) < own)) continue;
      own = std::abs(wider - slope);
      found = std::abs(backward - slope);
    }
    b_.params->values().copy_(start);
    return std::isfinite(found) ? std::max(0.0, found - std::min(2 * own, kOwnError * length())) : HUGE_VAL;
  }

 private:
  Tensor loss() const {
    b_.model->begin(s_.training_pass(0));
    return b_.model->training_loss(ids_BT_, targets_BT_);
  }

  void fill(Tensor part, const std::string& name, uint64_t number) const {
    const core::Stream stream(s_.seed(), "audit/direction/" + name, number);
    Tensor normal = at::empty(part.sizes(), at::TensorOptions().dtype(at::kDouble));
    for (int64_t i = 0; i < normal.numel(); ++i) normal.data_ptr<double>()[i] = stream.normal(static_cast<uint64_t>(i));
    part.copy_(normal);
  }

  const Subject& s_;
  int64_t T_;
  arch::Built b_;
  Tensor ids_BT_, targets_BT_;
};

// The smallest error of several directions, as a share of the gradient's length.
double error_of(const Slope& slope, const tensor::Params::Entry* only) {
  double least = HUGE_VAL;
  for (uint64_t n = 0; n < kTries && least > kTolerance; ++n) least = std::min(least, slope.error(n, only) / slope.length());
  return least;
}

}  // namespace

void check_gradients(const Subject& s, CheckResult& r) {
  r.note = "along random directions the gradient is the central difference of the training loss, in float64, to 1e-6 of its length and "
           "the difference's own measured error, at most 1e-5";
  if (s.arch().straight_through) {
    r.skipped = true;
    r.note = "the model's gradients are not meant to be derivatives of its values";
    return;
  }
  if (!s.arch().stopped.empty())
    r.note += "; of " + std::string(s.arch().stopped) + " it is not meant to be: a gradient stops there by definition";
  const Slope slope(s);
  if (!(slope.length() > 0) || error_of(slope, nullptr) <= kTolerance) return;
  for (const auto& e : slope.entries()) {
    if (!slope.derivative(e)) continue;
    const double error = error_of(slope, &e);
    if (error > kTolerance)
      r.findings.push_back({e.name, "its gradient is not the derivative of the loss: central differences are off by " +
                                        std::to_string(error) + " of the gradient's length"});
  }
  if (r.pass()) r.findings.push_back({"", "the gradient is not the derivative of the loss, though it is for each parameter alone"});
}

}  // namespace assay::audit
