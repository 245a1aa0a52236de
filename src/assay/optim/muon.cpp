#include "assay/optim/muon.h"

#include <ATen/ops/cos.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/sub.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "assay/core/error.h"
#include "assay/optim/orthogonal.h"

namespace assay::optim {
namespace {

Tensor row_norm(const Tensor& X_nRC) { return at::linalg_vector_norm(X_nRC, 2, {2}, true); }

// All matrices of one shape, rate and decay.
struct Batch {
  std::vector<const tensor::Params::Entry*> entries;
  double lr_scale = 1, weight_decay = 0;
  Tensor M_nRC, V;  // V: normuon alone
};

class Muon final : public Optimizer {
 public:
  Muon(tensor::Params& params, const OptimConfig& config)
      : Optimizer(params), config_(config), mu_(config.momentum_or_default()), precision_(tensor::precision_from(config.muon_precision)) {
    std::map<std::vector<double>, size_t> known;  // shape and treatment -> batch
    for (const auto& e : params.entries()) {
      if (!e.treatment.trained || !is_hidden_matrix(e)) continue;
      const std::vector<double> key{static_cast<double>(e.shape[0]), static_cast<double>(e.shape[1]), e.treatment.lr_scale,
                                    e.treatment.decay_scale};
      const auto [it, fresh] = known.emplace(key, batches_.size());
      if (fresh) batches_.push_back({{}, e.treatment.lr_scale, config.weight_decay * e.treatment.decay_scale, {}, {}});
      batches_[it->second].entries.push_back(&e);
    }
    if (batches_.empty()) throw core::ConfigError("optim", "name=muon: this model has no matrix inside a layer; use name=adam");
    const auto options = params.values().options();
    for (Batch& b : batches_) {
      const int64_t n = static_cast<int64_t>(b.entries.size()), R = b.entries[0]->shape[0], C = b.entries[0]->shape[1];
      b.M_nRC = at::zeros({n, R, C}, options);
      const std::vector<int64_t> v = normuon_shape(R, C);
      if (config.muon_normuon) b.V = at::zeros({n, v[0], v[1]}, options);
    }
    adam_ = make_adam(params, companion(config), companion_groups(params, config.companion_lr));
  }

  void set_updates(int64_t n) override {
    Optimizer::set_updates(n);
    adam_->set_updates(n);
  }

  std::vector<NamedState> state() override {
    std::vector<NamedState> out = adam_->state();
    std::erase_if(out, [&](const NamedState& s) {  // moments of parameters that Adam does not move
      const tensor::Params::Entry* e = params_.find(s.name.substr(s.name.find('/') + 1));
      return e->treatment.trained && is_hidden_matrix(*e);
    });
    for (Batch& b : batches_)
      for (size_t i = 0; i < b.entries.size(); ++i) {
        out.push_back({"momentum/" + b.entries[i]->name, b.M_nRC[static_cast<int64_t>(i)]});
        if (b.V.defined()) out.push_back({"normuon/" + b.entries[i]->name, b.V[static_cast<int64_t>(i)]});
      }
    return out;
  }

 private:
  static OptimConfig companion(const OptimConfig& c) {
    OptimConfig adam = c;
    adam.name = "adamw";
    adam.eps_form = "uncorrected";
    return adam;
  }

  // A model that slows these parameters down itself says by how much; one that speeds some up does so on top.
  static std::vector<Group> companion_groups(const tensor::Params& params, double companion_lr) {
    std::vector<Group> groups;
    for (const auto& e : params.entries()) {
      const int64_t i = &e - params.entries().data();
      if (!e.treatment.trained || is_hidden_matrix(e)) continue;
      const double s = e.treatment.lr_scale;
      groups.push_back({i, i + 1, s < 1 ? s : companion_lr * s, 0});
    }
    return groups;
  }

  Tensor orthogonal(const Tensor& X_nRC) const {
    if (config_.muon_orth == "polar_express") return polar_express(X_nRC, precision_);
    return newton_schulz(X_nRC, config_.muon_iterations > 0 ? config_.muon_iterations : 5, precision_);
  }

  void step(double lr) override {
    adam_->update(lr);
    for (Batch& b : batches_) {
      const auto stacked = [&](const Tensor& flat) {
        std::vector<Tensor> parts;
        for (const auto* e : b.entries) parts.push_back(params_.view(flat, *e));
        return at::stack(parts);
      };
      const Tensor G = stacked(params_.grads());
      b.M_nRC.lerp_(G, 1 - mu_);
      Tensor O = orthogonal(config_.muon_nesterov ? G + b.M_nRC * mu_ : b.M_nRC);
      if (config_.muon_normuon) O = normuon_scaled(O.to(G.scalar_type()), b.V, config_.muon_normuon_beta);
      const Tensor W = moved(stacked(params_.values()), O, lr * b.lr_scale, b.weight_decay);
      for (size_t i = 0; i < b.entries.size(); ++i) params_.view(params_.values(), *b.entries[i]).copy_(W[static_cast<int64_t>(i)]);
    }
  }

  // `orthogonal` may be bfloat16; without a rotation it is read as it is.
  Tensor moved(const Tensor& W, const Tensor& orthogonal, double lr, double weight_decay) const {
    const std::string& geodesic = config_.muon_geodesic;
    const Tensor O = geodesic == "none" ? orthogonal : orthogonal.to(W.scalar_type());
    if (geodesic == "lr") return W * std::cos(lr) + O * std::sin(lr);
    if (geodesic == "scaled") {
      const Tensor angle = at::linalg_vector_norm(O, 2, {1, 2}, true) * lr;
      return W * at::cos(angle) + O * at::sin(angle);
    }
    if (geodesic == "corrected") {
      const Tensor tau = (O * W).sum(2, true) * W - O, length = row_norm(tau);
      return at::where(length > 0, W * std::cos(lr) + tau / length * std::sin(lr), W);
    }
    if (weight_decay == 0) return at::sub(W, O, lr);
    const double keep = 1 - lr * weight_decay;
    return at::sub(config_.muon_cautious ? at::where(O * W >= 0, W * keep, W) : W * keep, O, lr);
  }

  OptimConfig config_;
  double mu_;
  tensor::Precision precision_;
  std::vector<Batch> batches_;
  std::unique_ptr<Optimizer> adam_;
};

}  // namespace

bool is_hidden_matrix(const tensor::Params::Entry& e) {
  const bool inside = e.name.starts_with("blocks.") || e.name.starts_with("hops.");
  return e.shape.size() == 2 && inside && e.name.find(".gate_") == std::string::npos;
}

std::unique_ptr<Optimizer> make_muon(tensor::Params& params, const OptimConfig& config) { return std::make_unique<Muon>(params, config); }

}  // namespace assay::optim
