#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "assay/arch/transformer/orthogonal_update.h"
#include "assay/arch/transformer/sphere.h"
#include "assay/audit/vectors.h"
#include "assay/core/error.h"
#include "assay/layers/shift_max.h"
#include "assay/optim/conditioning.h"
#include "assay/optim/orthogonal.h"

namespace assay::audit {
namespace {

namespace transformer = arch::transformer;

// One file's report under construction: a result against the stored one, within the bound of the vectors' table.
class Comparison {
 public:
  Comparison(const Vectors& v, const ParityOptions& options) : v_(v), options_(options), report_{v.path(), "function", {}} {}

  Tensor at(const std::string& name) const { return v_.at(name, options_.dtype).to(options_.device); }
  Tensor leaf(const std::string& name) const { return at(name).requires_grad_(true); }
  void value(const std::string& name, const Tensor& got) {
    report_.deviations.push_back(v_.compare(name, got, 1e-5 * std::max(1.0, v_.largest(name))));
  }
  void gradient(const std::string& name, const Tensor& got, double largest) {
    report_.deviations.push_back(v_.compare(name, got, 1e-5 * largest));
  }
  void exact(const std::string& name, const std::vector<double>& got) {
    Tensor t = at::empty({static_cast<int64_t>(got.size())}, at::TensorOptions().dtype(at::kDouble));
    std::copy(got.begin(), got.end(), t.data_ptr<double>());
    report_.deviations.push_back(v_.compare(name, t, 1e-6));
  }
  // Distinct beginnings of names up to the first '/': "k1_tau0.5" of "k1_tau0.5/p".
  std::vector<std::string> groups(const std::string& prefix) const {
    std::vector<std::string> out;
    for (const std::string& name : v_.names(prefix)) {
      const size_t slash = name.find('/');
      if (slash == std::string::npos) continue;
      const std::string group = name.substr(0, slash);
      if (std::find(out.begin(), out.end(), group) == out.end()) out.push_back(group);
    }
    return out;
  }
  const Vectors& file() const { return v_; }
  const ParityOptions& options() const { return options_; }
  ParityReport report() const { return report_; }

 private:
  const Vectors& v_;
  ParityOptions options_;
  ParityReport report_;
};

double number_in(const std::string& text, size_t from) {
  double x = 0;
  const auto [end, error] = std::from_chars(text.data() + from, text.data() + text.size(), x);
  if (error != std::errc() || end == text.data() + from) throw core::DataError("parity", "no number in '" + text + "'");
  return x;
}

ParityReport replay_orthpar_update(const Vectors& v, const ParityOptions& options) {
  Comparison c(v, options);
  const Tensor g = c.at("grad_out");
  const core::Value config = v.metadata("config");
  for (const core::Value& m : config.at("modes").as_array()) {
    const std::string& mode = m.as_string();
    const Tensor x = c.leaf("x"), y = c.leaf("y"), alpha = c.leaf("alpha"), beta = c.leaf("beta");
    const Tensor out = transformer::orthogonal_update(x, y, alpha, beta, transformer::orthogonal_update_from(mode));
    const auto grads = torch::autograd::grad({out}, {x, y, alpha, beta}, {g});
    c.value(mode + "/out", out);
    double largest = 0;
    for (const char* name : {"/grad_x", "/grad_y", "/grad_alpha", "/grad_beta"}) largest = std::max(largest, v.largest(mode + name));
    // The notebook's form divides by a sum near zero: ten times the bound.
    if (mode == "notebook") largest *= 10;
    c.gradient(mode + "/grad_x", grads[0], largest);
    c.gradient(mode + "/grad_y", grads[1], largest);
    c.gradient(mode + "/grad_alpha", grads[2], largest);
    c.gradient(mode + "/grad_beta", grads[3], largest);
  }
  return c.report();
}

ParityReport replay_shiftmax(const Vectors& v, const ParityOptions& options) {
  Comparison c(v, options);
  const Tensor g = c.at("g"), target = v.at("target", at::kLong).to(options.device);
  for (const std::string& group : c.groups("k")) {  // "1_tau0.5"
    const size_t tau_at = group.find("_tau");
    if (tau_at == std::string::npos) continue;
    const auto k = static_cast<int64_t>(number_in(group, 0));
    const double tau = number_in(group, tau_at + 4);
    const std::string name = "k" + group;
    const Tensor z = c.leaf("z"), p = layers::shift_max(z, k, tau), nll = layers::shift_max_nll(z, target, k, tau);
    c.value(name + "/p", p);
    c.value(name + "/nll", nll);
    c.gradient(name + "/grad_z", torch::autograd::grad({p}, {z}, {g})[0], v.largest(name + "/grad_z"));
    c.gradient(name + "/nll_grad_z", torch::autograd::grad({nll.sum()}, {z})[0], v.largest(name + "/nll_grad_z"));
  }
  return c.report();
}

ParityReport replay_projection(const Vectors& v, const ParityOptions& options) {
  Comparison c(v, options);
  const Tensor W = c.at("weight");
  const auto projected = [&](int64_t axis, double radius, double eps) {
    Tensor out = W.clone();
    transformer::to_radius_(out, axis, radius, eps);
    return out;
  };
  for (const std::string& radius : v.names("rows_r")) c.value("rows_r" + radius, projected(-1, number_in(radius, 0), 1e-8));
  if (v.has("official_rows")) c.value("official_rows", projected(-1, 1, 0));
  if (v.has("official_columns")) c.value("official_columns", projected(0, 1, 0));
  if (v.has("drift")) c.value("drift", transformer::drift(W));
  const auto schedule = [&](const std::string& name, const auto& at_step) {
    std::vector<double> all;
    for (int64_t s = 0; s < v.file().at(name).numel(); ++s) all.push_back(at_step(s));
    c.exact(name, all);
  };
  for (const std::string& N : v.names("adaptive_time/N")) {
    transformer::TimedProjection timed;
    const auto total = static_cast<int64_t>(number_in(N, 0));
    schedule("adaptive_time/N" + N, [&](int64_t s) { return timed.due(s, total) ? 1.0 : 0.0; });
  }
  for (const std::string& rest : v.names("every")) {  // "7/N300"
    const auto every = static_cast<int64_t>(number_in(rest, 0));
    schedule("every" + rest, [&](int64_t s) { return s % every == 0 ? 1.0 : 0.0; });
  }
  for (const std::string& rest : v.names("progressive_radius/N")) {  // "300_target1.1"
    const auto total = static_cast<int64_t>(number_in(rest, 0));
    const double target = number_in(rest, rest.find("_target") + 7);
    schedule("progressive_radius/N" + rest, [&](int64_t s) { return transformer::projection_radius(1, target, s, total); });
  }
  return c.report();
}

// A published mode's name as options of the optimizer.
optim::OptimConfig muon_config(const core::Value& c, const std::string& mode) {
  optim::OptimConfig config;
  config.name = "muon";
  config.lr = c.at("lr").as_double();
  config.momentum = number(c, "momentum", 0.95);
  if (mode.starts_with("polar")) config.muon_orth = "polar_express";
  config.muon_nesterov = mode.find("nesterov") != std::string::npos;
  config.muon_normuon = mode.find("normuon") != std::string::npos;
  config.muon_normuon_beta = number(c, "normuon_beta", 0.95);
  config.muon_cautious = mode.find("cautious") != std::string::npos;
  if (config.muon_cautious) config.weight_decay = c.at("weight_decay_cautious").as_double();
  if (mode == "geodesic_ref_lr") config.muon_geodesic = "lr";
  if (mode == "geodesic_ref_scaled") config.muon_geodesic = "scaled";
  if (mode == "geodesic_fix") config.muon_geodesic = "corrected";
  return config;
}

ParityReport replay_muon(const Vectors& v, const ParityOptions& options) {
  Comparison c(v, options);
  const core::Value config = v.metadata("config");
  constexpr auto fp32 = tensor::Precision::fp32;
  const at::NoGradGuard no_grad;
  for (const std::string& shape : c.groups("orth/")) {
    const Tensor G = c.at("orth/" + shape + "/G").unsqueeze(0);
    c.value("orth/" + shape + "/newton_schulz", optim::newton_schulz(G, 5, fp32));
    c.value("orth/" + shape + "/polar_express", optim::polar_express(G, fp32));
  }
  for (const std::string& shape : c.groups("normuon/")) {
    const std::string name = "normuon/" + shape + "/";
    Tensor V = at::zeros_like(c.at(name + "V_0")).unsqueeze(0);
    for (int j = 0; v.has(name + "in_" + std::to_string(j)); ++j) {
      const std::string step = std::to_string(j);
      c.value(name + "out_" + step, optim::normuon_scaled(c.at(name + "in_" + step).unsqueeze(0), V, number(config, "normuon_beta", 0.95)));
      c.value(name + "V_" + step, V);
    }
  }
  for (const std::string& shape : c.groups("step/"))
    for (const core::Value& m : config.at("modes").as_array()) {
      const std::string &mode = m.as_string(), name = "step/" + shape + "/";
      const Tensor before = c.at(name + (mode.starts_with("geodesic") ? "before_unit_rows" : "before"));
      tensor::Params params(options.device, options.dtype, 0);
      params.add("blocks.0.weight", before.sizes().vec(), tensor::constant(0));
      params.seal();
      const auto& e = params.entries()[0];
      const auto optimizer = optim::make_optimizer(params, muon_config(config, mode));
      params.view(params.values(), e).copy_(before);
      for (int j = 0; v.has(name + "grad_" + std::to_string(j)); ++j) {
        params.view(params.grads(), e).copy_(c.at(name + "grad_" + std::to_string(j)));
        optimizer->update(config.at("lr").as_double());
        c.value(name + mode + "/after_" + std::to_string(j), params.view(params.values(), e));
      }
    }
  return c.report();
}

ParityReport replay_conditioning(const Vectors& v, const ParityOptions& options) {
  Comparison c(v, options);
  const core::Value config = v.metadata("config");
  const at::NoGradGuard no_grad;
  for (const std::string kind : {"rule", "learnt"}) {
    optim::OptimConfig optim;
    optim.name = "sgd";
    optim.lr = config.at("lr").as_double();
    optim.momentum = config.at("momentum").as_double();
    optim.conditioning = kind;
    optim.conditioning_s0 = config.at("s0").as_double();
    optim.conditioning_p = config.at("p").as_double();
    optim.conditioning_q = config.at("q").as_double();
    optim.conditioning_b0 = config.at("b0").as_double();
    if (kind == "learnt") optim.conditioning_eta = config.at("eta").as_double();
    tensor::Params params(options.device, options.dtype, 0);
    for (size_t i = 0; v.has("before/w" + std::to_string(i)); ++i) {
      const std::string name = "w" + std::to_string(i);
      params.add(name, v.file().at("before/" + name).shape, tensor::constant(0));
    }
    params.seal();
    v.load(params, params.values(), "before/");
    const auto optimizer = optim::make_optimizer(params, optim);
    for (int64_t j = 0; j < config.at("steps").as_int(); ++j) {
      const std::string step = std::to_string(j);
      v.load(params, params.grads(), "grad/" + step + "/");
      optimizer->update(optim.lr);
      for (const auto& e : params.entries()) {
        c.value(kind + "/conditioned/" + step + "/" + e.name, params.view(params.grads(), e));
        c.value(kind + "/after/" + step + "/" + e.name, params.view(params.values(), e));
      }
      for (const optim::NamedState& s : optimizer->state()) {
        if (s.name == "conditioning/scale") c.value(kind + "/scale/" + step, s.value);
        if (s.name == "conditioning/shift") c.value(kind + "/shift/" + step, s.value);
      }
    }
  }
  return c.report();
}

constexpr std::array<FunctionReplay, 5> functions{{{"fn_gradient_conditioning", &replay_conditioning},
                                                   {"fn_muon", &replay_muon},
                                                   {"fn_orthpar_update", &replay_orthpar_update},
                                                   {"fn_projection", &replay_projection},
                                                   {"fn_shiftmax", &replay_shiftmax}}};

}  // namespace

std::span<const FunctionReplay> training_functions() { return functions; }

}  // namespace assay::audit
