#include <algorithm>
#include <array>

#include "assay/audit/vectors.h"
#include "assay/core/error.h"
#include "assay/optim/optimizer.h"

namespace assay::audit {
namespace {

bool is_block_matrix(const std::string& name) {
  static constexpr std::array<std::string_view, 4> parts{"attn.qkv", "attn.out", "mlp.fc1", "mlp.fc2"};
  return std::any_of(parts.begin(), parts.end(),
                     [&](std::string_view p) { return name.find(p) != std::string::npos && name.ends_with(".weight"); });
}

// The parameter groups of each published trainer, by parameter.
optim::Group group_of(const std::string& kind, const core::Value& c, const tensor::Params::Entry& e) {
  optim::Group g;
  g.weight_decay = c.find("weight_decay") != nullptr ? c.at("weight_decay").as_double() : 0;
  if (kind == "adam_decoupled" && e.name.find(".sort.") != std::string::npos) {
    g.lr_scale = c.at("sort_lr_factor").as_double();
    g.weight_decay = 0;
  }
  if (kind == "adamw_ngpt" && !is_block_matrix(e.name)) g.lr_scale = c.at("other_lr_factor").as_double();
  if (kind == "adamw_official" && e.shape.size() < 2) g.weight_decay = 0;
  return g;
}

}  // namespace

ParityReport replay_optimizer(const Vectors& v, const ParityOptions& options) {
  const core::Value c = v.metadata("config");
  const std::string kind = c.at("kind").as_string();
  const std::vector<std::string> known{"adam_decoupled", "adam_l2", "adamw_ngpt", "adamw_official"};
  if (std::find(known.begin(), known.end(), kind) == known.end())
    throw core::ConfigError("parity", v.path() + ": " + core::unknown_name("optimizer", kind, known));
  optim::OptimConfig config;
  config.name = kind == "adam_l2" ? "adam" : "adamw";
  config.lr = c.at("lr").as_double();
  config.beta1 = c.at("beta1").as_double();
  config.beta2 = c.at("beta2").as_double();
  config.eps = c.at("eps").as_double();
  const double clip = c.find("clip") != nullptr ? c.at("clip").as_double() : 0;

  tensor::Params params(options.device, options.dtype, 0);
  for (const std::string& name : v.names("before/")) params.add(name, v.file().at("before/" + name).shape, tensor::constant(0));
  params.seal();
  std::vector<optim::Group> groups;
  for (size_t i = 0; i < params.entries().size(); ++i) {
    groups.push_back(group_of(kind, c, params.entries()[i]));
    groups.back().first = static_cast<int64_t>(i);
    groups.back().last = static_cast<int64_t>(i) + 1;
  }
  optim::Adam adam(params, config, groups);

  const at::NoGradGuard no_grad;
  const auto load = [&](Tensor& flat, const std::string& prefix) {
    for (const auto& e : params.entries()) params.view(flat, e).copy_(v.at(prefix + e.name, options.dtype));
  };
  load(params.values(), "before/");
  ParityReport r{v.path(), "optimizer", {}};
  for (int j = 0; !v.names("after/" + std::to_string(j) + "/").empty(); ++j) {
    const std::string step = std::to_string(j) + "/";
    load(params.grads(), "grad/" + step);
    const double norm = optim::clip_gradient(params.grads(), clip);
    if (v.has("grad_norm/" + std::to_string(j))) {
      Tensor got = at::empty({1}, at::TensorOptions().dtype(at::kDouble));
      *got.data_ptr<double>() = norm;
      r.deviations.push_back(v.compare("grad_norm/" + std::to_string(j), got, 1e-5 * std::max(1.0, norm)));
    }
    adam.update(config.lr);
    for (const auto& e : params.entries()) {
      const std::string name = "after/" + step + e.name;
      r.deviations.push_back(v.compare(name, e.value, 1e-5 * std::max(1.0, v.largest(name))));
    }
  }
  return r;
}

}  // namespace assay::audit
