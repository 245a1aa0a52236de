#include "assay/optim/conditioning.h"

#include <ATen/ops/add.h>
#include <ATen/ops/addcmul.h>
#include <ATen/ops/dot.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>

#include "assay/core/random.h"

namespace assay::optim {
namespace {

constexpr double kLeast = 0.25, kMost = 4;

struct Spread {
  double mean = 0, deviation = 0;  // of the logarithms
};

Spread spread_of(const std::vector<double>& x) {
  Spread s;
  for (double v : x) s.mean += std::log(v) / static_cast<double>(x.size());
  for (double v : x) s.deviation += std::pow(std::log(v) - s.mean, 2) / static_cast<double>(x.size());
  s.deviation = std::sqrt(s.deviation);
  return s;
}

// The controls keep the set of scales, or its spread, and lose what it says about size and place.
void disguise(std::vector<double>& scale, const std::string& kind) {
  const uint64_t K = scale.size();
  const std::vector<double> rule = scale;
  if (kind == "permuted") {
    const core::Permutation p(K, 0, "conditioning", 0);
    for (uint64_t k = 0; k < K; ++k) scale[k] = rule[p(k)];
  }
  if (kind == "random") {
    const Spread s = spread_of(rule);
    const core::Stream stream(0, "conditioning");
    for (uint64_t k = 0; k < K; ++k) scale[k] = std::clamp(std::exp(s.mean + s.deviation * stream.normal(k)), kLeast, kMost);
  }
}

class Conditioned final : public Optimizer {
 public:
  Conditioned(tensor::Params& params, const OptimConfig& config, std::unique_ptr<Optimizer> inner)
      : Optimizer(params), config_(config), inner_(std::move(inner)) {
    std::vector<std::vector<int64_t>> shapes;
    for (const auto& e : params.entries()) shapes.push_back(e.treatment.trained ? e.shape : std::vector<int64_t>{});
    rule_ = conditioning_rule(shapes, config);
    const auto on_device = [&](const std::vector<double>& x) {
      Tensor t = at::empty({static_cast<int64_t>(x.size())}, at::TensorOptions().dtype(at::kDouble));
      std::copy(x.begin(), x.end(), t.data_ptr<double>());
      return t.to(params.values().options());
    };
    scale_ = on_device(rule_.scale);
    shift_ = on_device(rule_.shift);
    for (size_t i = 0; i < shapes.size(); ++i)
      if (shapes[i].size() >= 2) conditioned_.push_back(static_cast<int64_t>(i));
    if (config.conditioning == "learnt") before_ = params.like_values();
  }

  void set_updates(int64_t n) override {
    Optimizer::set_updates(n);
    inner_->set_updates(n);
  }

  std::vector<NamedState> state() override {
    std::vector<NamedState> out = inner_->state();
    out.push_back({"conditioning/scale", scale_});
    out.push_back({"conditioning/shift", shift_});
    if (before_.defined()) append(out, "grad_before", before_);
    return out;
  }

 private:
  void step(double lr) override {
    if (before_.defined()) learn(lr);
    for (const int64_t i : conditioned_) {  // one pass over the gradient
      Tensor g = flat(params_.grads(), i);
      const auto k = static_cast<size_t>(i);
      // Numbers that learning moves stay on the device; fixed ones go to the kernel as such, which is several times as fast as reading them there.
      if (before_.defined()) at::addcmul_out(g, shift_[i], scale_[i], g);
      else at::add_out(g, at::scalar_tensor(rule_.shift[k], at::kDouble), g, rule_.scale[k]);
    }
    inner_->update(lr);
  }

  void learn(double lr) {
    if (updates() > 1) {
      for (const int64_t i : conditioned_) {
        const Tensor g = flat(params_.grads(), i), old = flat(before_, i);
        const Tensor square = at::dot(old, old), known = square > 0;
        const double eta = config_.conditioning_eta * lr;
        scale_[i].add_(at::where(known, at::dot(g, old) / square, at::zeros_like(square)), eta).clamp_(kLeast, kMost);
        shift_[i].add_(at::where(known, g.mean(), at::zeros_like(square)), eta);
      }
    }
    before_.copy_(params_.grads());
  }

  Tensor flat(const Tensor& buffer, int64_t i) const {
    const auto& e = params_.entries()[static_cast<size_t>(i)];
    return buffer.narrow(0, e.offset, e.numel);
  }

  OptimConfig config_;
  Conditioning rule_;  // by entry
  std::unique_ptr<Optimizer> inner_;
  std::vector<int64_t> conditioned_;  // entries
  Tensor scale_, shift_;              // by entry
  Tensor before_;                     // the last update's raw gradient, where scales are learnt
};

}  // namespace

Conditioning conditioning_rule(const std::vector<std::vector<int64_t>>& shapes, const OptimConfig& config) {
  struct Place {
    size_t tensor;
    double size, fan_in;
  };
  std::vector<Place> places;
  double mean_log = 0;
  for (size_t i = 0; i < shapes.size(); ++i) {
    if (shapes[i].size() < 2) continue;
    double N = 1;
    for (int64_t d : shapes[i]) N *= static_cast<double>(d);
    places.push_back({i, N, N / static_cast<double>(shapes[i][0])});
    mean_log += std::log(places.back().fan_in);
  }
  Conditioning c{std::vector<double>(shapes.size(), 1), std::vector<double>(shapes.size(), 0)};
  if (places.empty()) return c;
  const double K = static_cast<double>(places.size()), mean = std::exp(mean_log / K);
  std::vector<double> scale;
  for (size_t k = 0; k < places.size(); ++k) {
    const double depth = (static_cast<double>(k) + 0.5) / K;
    scale.push_back(std::clamp(
        config.conditioning_s0 * std::pow(mean / places[k].fan_in, config.conditioning_p) * (1 + config.conditioning_q * (1 - 2 * depth)),
        kLeast, kMost));
  }
  disguise(scale, config.conditioning);
  for (size_t k = 0; k < places.size(); ++k) {
    const std::string& kind = config.conditioning;
    if (kind != "shift_only") c.scale[places[k].tensor] = scale[k];
    if (kind == "rule" || kind == "learnt" || kind == "shift_only")
      c.shift[places[k].tensor] = (k % 2 == 0 ? 1 : -1) * config.conditioning_b0 / std::sqrt(places[k].size);
  }
  return c;
}

std::unique_ptr<Optimizer> make_conditioned(tensor::Params& params, const OptimConfig& config, std::unique_ptr<Optimizer> inner) {
  return std::make_unique<Conditioned>(params, config, std::move(inner));
}

}  // namespace assay::optim
