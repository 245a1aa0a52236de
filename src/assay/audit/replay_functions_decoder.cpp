#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <array>

#include "assay/arch/transformer/decoder/blend.h"
#include "assay/arch/transformer/decoder/hebbian.h"
#include "assay/arch/transformer/decoder/mask.h"
#include "assay/arch/transformer/decoder/sort.h"
#include "assay/audit/vectors.h"
#include "assay/core/error.h"

namespace assay::audit {
namespace {

namespace decoder = arch::decoder;

std::string text(const core::Value& c, std::string_view key, const std::string& fallback) {
  const core::Value* found = c.find(key);
  return found == nullptr ? fallback : found->as_string();
}

bool flag(const core::Value& c, std::string_view key) { return c.find(key) != nullptr && c.at(key).as_bool(); }

void refuse_unknown_keys(const Vectors& v, const core::Value& c, const std::vector<std::string>& known) {
  for (const auto& [key, value] : c.as_object())
    if (std::find(known.begin(), known.end(), key) == known.end())
      throw core::ConfigError("parity", v.path() + ": " + core::unknown_name("setting", key, known));
}

Deviation value(const Vectors& v, const std::string& name, const Tensor& got) {
  return v.compare(name, got, 1e-5 * std::max(1.0, v.largest(name)));
}

// The inputs of a file as leaves, y and the derivatives of sum(y * grad_out) against the stored ones.
class Derivatives {
 public:
  Derivatives(const Vectors& v, const ParityOptions& options) : v_(v), options_(options) {
    for (const std::string& name : v.names("grad_"))
      if (name != "out") largest_ = std::max(largest_, v.largest("grad_" + name));
  }
  Tensor leaf(const std::string& name) const { return v_.at(name, options_.dtype).to(options_.device).requires_grad_(true); }
  void differentiate(const Tensor& y) const {
    torch::autograd::backward({(y * v_.at("grad_out", options_.dtype).to(options_.device)).sum()}, {});
  }
  Deviation gradient(const std::string& name, const Tensor& leaf) const { return v_.compare(name, leaf.grad(), 1e-5 * largest_); }

 private:
  const Vectors& v_;
  ParityOptions options_;
  double largest_ = 0;
};

ParityReport replay_sort(const Vectors& v, const ParityOptions& options) {
  const core::Value c = v.metadata("config");
  refuse_unknown_keys(v, c, {"window", "sim", "exclude_self"});
  decoder::SortConfig sort;
  sort.sort_window = c.at("window").as_int();
  sort.sort_sim = text(c, "sim", "dot");
  sort.sort_exclude_self = flag(c, "exclude_self");
  ParityReport r{v.path(), "function", {}};
  const Derivatives d(v, options);
  for (const std::string alpha_grad : {"correct", "shipped"}) {
    if (!v.has("grad_a_" + alpha_grad)) continue;
    sort.sort_alpha_grad = alpha_grad;
    const Tensor x = d.leaf("x"), a = d.leaf("a"), tau = d.leaf("tau"), y = decoder::sort(sort, x, a, tau);
    d.differentiate(y);
    r.deviations.push_back(d.gradient("grad_a_" + alpha_grad, a));
    if (alpha_grad == "shipped") continue;  // everything else is the same
    r.deviations.push_back(value(v, "y", y));
    r.deviations.push_back(d.gradient("grad_x", x));
    r.deviations.push_back(d.gradient("grad_tau", tau));
  }
  return r;
}

ParityReport replay_blend(const Vectors& v, const ParityOptions& options) {
  const core::Value c = v.metadata("config");
  refuse_unknown_keys(v, c, {"window", "renorm"});
  decoder::BlendConfig blend;
  blend.blend_window = c.at("window").as_int();
  blend.blend_renorm = flag(c, "renorm");
  ParityReport r{v.path(), "function", {}};
  const Derivatives d(v, options);
  const Tensor x = d.leaf("x"), w = d.leaf("w"), a = d.leaf("a"), y = decoder::blend(blend, x, w, a);
  d.differentiate(y);
  r.deviations.push_back(value(v, "y", y));
  r.deviations.push_back(d.gradient("grad_x", x));
  r.deviations.push_back(d.gradient("grad_w", w));
  r.deviations.push_back(d.gradient("grad_a", a));
  return r;
}

ParityReport replay_masks(const Vectors& v, const ParityOptions&) {
  ParityReport r{v.path(), "function", {}};
  const core::Value list = v.metadata("config");
  for (const core::Value& c : list.as_array()) {
    const std::string key = c.at("key").as_string() + "/";
    const int64_t wide = c.at("wide").as_int(), narrow = c.at("narrow").as_int(), b = c.at("bandwidth").as_int();
    for (const auto& [name, band] : {std::pair<std::string, ops::Band>{"fc1", {wide, narrow, b}}, {"fc2", {narrow, wide, b}}}) {
      const Tensor mask = decoder::mask_of(band, "none", "");
      r.deviations.push_back(value(v, key + name, mask));
      r.deviations.push_back(value(v, key + name + "_row_rescale", decoder::row_rescale(mask)));
      const double apart = std::abs(static_cast<double>(band.count()) - c.at("nnz_" + name).as_double());
      r.deviations.push_back({key + "nnz_" + name, apart, 0.5});  // a whole number
    }
  }
  return r;
}

ParityReport replay_pull(const Vectors& v, const ParityOptions& options) {
  const core::Value c = v.metadata("config");
  ParityReport r{v.path(), "function", {}};
  for (const core::Value& run : c.at("runs").as_array())
    for (const std::string mode : {"jacobi", "serial"}) {
      decoder::HebbianConfig pull;
      pull.hebbian_window = run.at("window").as_int();
      pull.hebbian_mode = mode;
      std::string prefix = "w";
      prefix += std::to_string(pull.hebbian_window) + "_" + mode + "/after_";
      Tensor E_VC = v.at("embedding", options.dtype).to(options.device);
      for (int64_t n = 0; v.has("input_ids/" + std::to_string(n)); ++n) {
        E_VC = decoder::hebbian_pulled(pull, run.at("epsilon").as_double(), E_VC, v.at("input_ids/" + std::to_string(n), at::kLong), n);
        const std::string name = prefix + std::to_string(n + 1);
        if (v.has(name)) r.deviations.push_back(value(v, name, E_VC));
      }
    }
  return r;
}

constexpr std::array<FunctionReplay, 4> functions{
    {{"fn_sort", replay_sort}, {"fn_blend", replay_blend}, {"fn_banded_masks", replay_masks}, {"fn_hebbian_pull", replay_pull}}};

}  // namespace

std::span<const FunctionReplay> decoder_functions() { return functions; }

}  // namespace assay::audit
