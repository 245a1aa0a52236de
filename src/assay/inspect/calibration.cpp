#include "assay/inspect/calibration.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/index_fill.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/nonzero.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "assay/core/error.h"
#include "assay/data/loader.h"
#include "assay/layers/shift_max.h"

namespace assay::inspect {
namespace {

constexpr int64_t kBins = 15, kMostNumbers = int64_t{1} << 25;  // of logits that are kept
// Of the natural logarithm of a temperature. Beyond it numbers of float32 to the fourth power would leave their range.
constexpr double kLimit = 16, kGrid = 2, kFine = 1e-4;
constexpr double kFar = 50;        // nats
constexpr double kNothing = 1e-6;  // nats a position

// A way to make probabilities; k 0: softmax.
struct Way {
  int64_t k;
  std::string name() const { return k == 0 ? "softmax" : "shiftmax k=" + std::to_string(k); }
  Tensor log_probabilities(const Tensor& z, double T) const {
    return k == 0 ? at::log_softmax(z / T, -1) : layers::shift_max(z, k, T).log();
  }
};
constexpr std::array<Way, 4> kWays{Way{0}, Way{1}, Way{2}, Way{4}};

double likelihood_loss(const Tensor& log_p, const Tensor& targets) {
  return -at::gather(log_p, 1, targets.unsqueeze(1)).mean().item().toDouble();
}

struct Tuned {
  double temperature;
  bool at_limit;
};

// Over log T: a grid first, because only softmax is known to have one valley, then golden section between the best one's neighbours.
Tuned tuned_temperature(const Way& way, const Tensor& z, const Tensor& targets) {
  const auto loss = [&](double log_T) {
    const double x = likelihood_loss(way.log_probabilities(z, std::exp(log_T)), targets);
    return std::isnan(x) ? HUGE_VAL : x;
  };
  const double of_end = std::min(loss(-kLimit), loss(kLimit));
  double best = -kLimit, of_best = HUGE_VAL;
  for (double x = -kLimit; x <= kLimit; x += kGrid)
    if (const double here = loss(x); here < of_best) best = x, of_best = here;
  const double share = (std::sqrt(5.0) - 1) / 2;
  double low = std::max(best - kGrid, -kLimit), high = std::min(best + kGrid, kLimit);
  double a = high - share * (high - low), b = low + share * (high - low), of_a = loss(a), of_b = loss(b);
  while (high - low > kFine) {
    if (of_a <= of_b) {
      high = b, b = a, of_b = of_a;
      of_a = loss(a = high - share * (high - low));
    } else {
      low = a, a = b, of_a = of_b;
      of_b = loss(b = low + share * (high - low));
    }
  }
  const double found = (low + high) / 2, of_found = loss(found);
  return of_found < of_best ? Tuned{std::exp(found), of_end - of_found < kNothing} : Tuned{std::exp(best), of_end - of_best < kNothing};
}

Calibration figures(const Way& way, const Tensor& z, const Tensor& targets, const Tuned& at, bool tuned) {
  const Tensor log_p = way.log_probabilities(z, at.temperature), p = log_p.exp();
  const auto [top, place] = p.max(1);
  const Tensor confident = top.to(at::kCPU, at::kDouble).contiguous(), hit = (place == targets).to(at::kCPU, at::kDouble).contiguous();
  Calibration c{way.name(), tuned, at.at_limit, at.temperature};
  std::array<double, kBins> difference{};
  const auto n = static_cast<double>(hit.numel());
  for (int64_t i = 0; i < hit.numel(); ++i) {
    const double h = hit.const_data_ptr<double>()[i], q = confident.const_data_ptr<double>()[i];
    c.accuracy += h / n;
    c.confidence += q / n;
    difference[static_cast<size_t>(std::clamp<int64_t>(static_cast<int64_t>(q * kBins), 0, kBins - 1))] += h - q;
  }
  for (const double d : difference) c.calibration_error += std::abs(d) / n;
  c.nll = likelihood_loss(log_p, targets);
  const Tensor of_target = at::gather(p, 1, targets.unsqueeze(1)).squeeze(1);
  c.brier = (p.square().sum(1) - 2 * of_target + 1).mean().item().toDouble();
  return c;
}

struct Judged {
  Tensor logits_NV, targets_N;
};

// Without the ids that softmax never gives more than e^-kFar and that are no target, as those that a classifier's head shuts out: they are nothing to
// softmax, but they would decide the mean that ShiftMax takes off.
Judged without_impossible(const Tensor& z_NV, const Tensor& targets_N) {
  const Tensor kept_V = (z_NV >= z_NV.amax({1}, true) - kFar).any(0).index_fill(0, targets_N, true);
  const Tensor places_V = at::cumsum(kept_V, 0) - 1;
  return {at::index_select(z_NV, 1, at::nonzero(kept_V).squeeze(1)), at::index_select(places_V, 0, targets_N)};
}

}  // namespace

std::vector<Calibration> calibrations(const Tensor& logits_NV, const Tensor& targets_N) {
  const at::NoGradGuard no_grad;
  const int64_t n = logits_NV.size(0), half = n / 2;
  if (n < 4) throw core::ConfigError("inspect", "calibration needs at least 4 positions, got " + std::to_string(n));
  const Tensor tuning = logits_NV.narrow(0, 0, half), judged = logits_NV.narrow(0, half, n - half);
  const Tensor tuning_targets = targets_N.narrow(0, 0, half), judged_targets = targets_N.narrow(0, half, n - half);
  std::vector<Calibration> all;
  for (const Way& way : kWays) {
    all.push_back(figures(way, judged, judged_targets, {1, false}, false));
    all.push_back(figures(way, judged, judged_targets, tuned_temperature(way, tuning, tuning_targets), true));
  }
  return all;
}

std::vector<Calibration> calibrations(const arch::Built& built, const train::EvaluationRequest& r, int64_t positions) {
  const at::NoGradGuard no_grad;
  const int64_t windows = data::validation_windows(r.tokens, r.seq_len);
  const auto [first, end] = built.model->scored(r.seq_len);
  if (windows < 1 || first < 0 || end > r.seq_len || first >= end)
    throw core::ConfigError(
        "inspect", "the validation part holds no window of train.seq_len=" + std::to_string(r.seq_len) + " with a position that counts");
  const int64_t wanted = std::min(positions, kMostNumbers / built.model->vocab_size());
  std::vector<Tensor> logits, targets;
  int64_t have = 0;
  for (int64_t w = 0; w < windows && have < wanted; w += r.rows) {
    const train::Batch b =
        train::to_batch(data::validation_rows(r.tokens, r.seq_len, w, std::min(r.rows, windows - w)), built.params->device());
    const Tensor z = built.model->forward(b.ids_BT).narrow(1, first, end - first);
    logits.push_back(z.reshape({-1, z.size(2)}));
    targets.push_back(b.targets_BT.narrow(1, first, end - first).reshape({-1}));
    have += targets.back().numel();
  }
  const Judged possible = without_impossible(at::cat(logits), at::cat(targets));
  return calibrations(possible.logits_NV, possible.targets_N);
}

core::Value to_value(const std::vector<Calibration>& all) {
  core::Value out = core::Value::array();
  for (const Calibration& c : all) {
    core::Value v = core::Value::object();
    v["probabilities"] = c.probabilities;
    v["tuned"] = c.tuned;
    v["temperature"] = c.temperature;
    v["at_limit"] = c.at_limit;
    v["accuracy"] = c.accuracy;
    v["confidence"] = c.confidence;
    v["calibration_error"] = c.calibration_error;
    v["nll"] = c.nll;
    v["brier"] = c.brier;
    out.push_back(v);
  }
  return out;
}

std::string to_text(const std::vector<Calibration>& all) {
  bool limited = false;
  std::string out = "probabilities         T   accuracy  confidence  calibration error      nll    brier\n";
  char line[160];
  for (const Calibration& c : all) {
    std::snprintf(line, sizeof line, "%-14s %8.4g%s  %9.4f  %10.4f  %17.4f  %7.4f  %7.4f\n", c.probabilities.c_str(), c.temperature,
                  c.at_limit ? "!"
                  : c.tuned  ? "*"
                             : " ",
                  c.accuracy, c.confidence, c.calibration_error, c.nll, c.brier);
    out += line;
    limited = limited || c.at_limit;
  }
  if (limited) out += "! nothing is gained between this temperature and an end of the search, e^+-16: the best one may lie beyond\n";
  return out + "* temperature tuned on the first half of the positions; all figures are of the second half\n";
}

}  // namespace assay::inspect
