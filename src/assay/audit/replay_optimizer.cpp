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

// How each published trainer treats a parameter.
tensor::Treatment treatment_of(const std::string& kind, const core::Value& c, const std::string& name, const std::vector<int64_t>& shape) {
  tensor::Treatment t;
  if (kind == "adam_decoupled" && name.find(".sort.") != std::string::npos) {
    t.lr_scale = number(c, "sort_lr_factor", 10);
    t.decay_scale = 0;
  }
  if (kind == "adamw_ngpt" && !is_block_matrix(name)) t.lr_scale = number(c, "other_lr_factor", 0.3);
  if (kind == "adamw_official" && shape.size() < 2) t.decay_scale = 0;
  return t;
}

// The rule behind each kind of file, by the name that it has here.
struct Kind {
  std::string_view name, rule, eps_form;
};
constexpr std::array<Kind, 7> kinds{{{"adam_decoupled", "adamw", "corrected"},
                                     {"adam_l2", "adam", "corrected"},
                                     {"adam_uncorrected_eps", "adamw", "uncorrected"},
                                     {"adamw_ngpt", "adamw", "corrected"},
                                     {"adamw_official", "adamw", "corrected"},
                                     {"sgd", "sgd", "corrected"},
                                     {"lion", "lion", "corrected"}}};

optim::OptimConfig config_of(const core::Value& c, const std::string& kind, const std::string& path) {
  const auto* found = std::find_if(kinds.begin(), kinds.end(), [&](const Kind& k) { return k.name == kind; });
  if (found == kinds.end()) {
    std::vector<std::string> known;
    for (const Kind& k : kinds) known.emplace_back(k.name);
    throw core::ConfigError("parity", path + ": " + core::unknown_name("optimizer", kind, known));
  }
  refuse_unknown(
      c, {"kind", "lr", "beta1", "beta2", "eps", "weight_decay", "momentum", "clip", "sort_lr_factor", "other_lr_factor", "decay"}, path);
  optim::OptimConfig config;
  config.name = found->rule;
  config.eps_form = found->eps_form;
  config.lr = c.at("lr").as_double();
  config.beta1 = number(c, "beta1", config.beta1);
  config.beta2 = number(c, "beta2", config.beta2);
  config.eps = number(c, "eps", config.eps);
  config.weight_decay = number(c, "weight_decay", 0);
  config.clip = number(c, "clip", 0);
  if (config.name == "sgd") config.momentum = number(c, "momentum", 0);
  return config;
}

}  // namespace

ParityReport replay_optimizer(const Vectors& v, const ParityOptions& options) {
  const core::Value c = v.metadata("config");
  const std::string kind = c.at("kind").as_string();
  const optim::OptimConfig config = config_of(c, kind, v.path());

  tensor::Params params(options.device, options.dtype, 0);
  for (const std::string& name : v.names("before/")) {
    const std::vector<int64_t> shape = v.file().at("before/" + name).shape;
    params.add(name, shape, tensor::constant(0), treatment_of(kind, c, name, shape));
  }
  params.seal();
  const auto optimizer = optim::make_optimizer(params, config);

  const at::NoGradGuard no_grad;
  v.load(params, params.values(), "before/");
  ParityReport r{v.path(), "optimizer", {}};
  for (int j = 0; !v.names("after/" + std::to_string(j) + "/").empty(); ++j) {
    const std::string step = std::to_string(j) + "/";
    v.load(params, params.grads(), "grad/" + step);
    const double norm = optim::clip_gradient(params.grads(), config.clip);
    if (v.has("grad_norm/" + std::to_string(j))) {
      Tensor got = at::empty({1}, at::TensorOptions().dtype(at::kDouble));
      *got.data_ptr<double>() = norm;
      r.deviations.push_back(v.compare("grad_norm/" + std::to_string(j), got, 1e-5 * std::max(1.0, norm)));
    }
    optimizer->update(config.lr);
    for (const auto& e : params.entries()) {
      const std::string name = "after/" + step + e.name;
      r.deviations.push_back(v.compare(name, e.value, 1e-5 * std::max(1.0, v.largest(name))));
    }
  }
  return r;
}

}  // namespace assay::audit
