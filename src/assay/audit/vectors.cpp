#include "assay/audit/vectors.h"

#include <ATen/ops/abs.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "assay/arch/given_masks.h"
#include "assay/core/error.h"

namespace assay::audit {
namespace {

at::ScalarType scalar_type(const core::TensorView& t, const std::string& path) {
  switch (t.dtype) {
    case core::DType::f32: return at::kFloat;
    case core::DType::f64: return at::kDouble;
    case core::DType::i64: return at::kLong;
    default: throw core::DataError("parity", path + ": tensor '" + t.name + "' is " + core::name_of(t.dtype) + "; wanted F32, F64 or I64");
  }
}

// As spec: every integer id must index the vocabulary, or the embedding would read beyond its table.
void check_ids(const Tensor& ids, int64_t vocab, const std::string& path) {
  if (ids.numel() > 0 && (ids.min().item().toLong() < 0 || ids.max().item().toLong() >= vocab))
    throw core::DataError("parity", path + ": input_ids and target_ids must lie in [0, " + std::to_string(vocab) + ")");
}

// Keys that only describe how values were filled in go; a combination that a person must ask for by a word of its own is meant here.
core::Value completed(const core::Value& stored, const core::Schema& schema) {
  core::Value config = stored;
  for (const auto& [key, value] : stored.as_object())
    if ((key.ends_with("_init") || key.ends_with("_amp")) && schema.find(key) == nullptr) config.erase(key);
  const core::Value* schedule = config.find("alpha_schedule");
  if (schedule != nullptr && schedule->as_string() != "none" && !(config.at("alpha_attn") == config.at("alpha_mlp")))
    config["asymmetric_schedule"] = true;
  return config;
}

// Files of published variants hold constructor arguments; what these do not say is as in the published code, but for what the files leave out
// (preset "vectors": noise). "compat.NAME" is a switch by its full name.
core::Value as_published(const arch::ArchInfo& a, const core::Value& config) {
  core::Value all = core::Value::object();
  for (const char* preset : {"reference", "vectors"})
    if (arch::find_preset(a, preset) != nullptr) {
      const core::Value options = arch::preset_options(a, preset);
      for (const auto& [option, value] : options.as_object()) all[option] = value;
    }
  for (const auto& [option, value] : config.as_object()) all[option.starts_with("compat.") ? option.substr(7) : option] = value;
  return all;
}

}  // namespace

double number(const core::Value& v, std::string_view key, double fallback) {
  const core::Value* found = v.find(key);
  return found == nullptr ? fallback : found->as_double();
}

void refuse_unknown(const core::Value& settings, const std::vector<std::string>& known, const std::string& path) {
  for (const auto& [key, value] : settings.as_object())
    if (std::find(known.begin(), known.end(), key) == known.end())
      throw core::ConfigError("parity", path + ": " + core::unknown_name("optimizer setting", key, known));
}

Vectors::Vectors(const std::string& path) : path_(path), file_(core::SafeTensors::read(path, uint64_t{1} << 32)) {}

Tensor Vectors::at(std::string_view name, at::ScalarType dtype) const {
  const core::TensorView& view = file_.at(name);
  Tensor t = at::empty(view.shape, at::TensorOptions().dtype(scalar_type(view, path_)));
  std::memcpy(t.mutable_data_ptr(), view.bytes.data(), view.bytes.size());
  return t.to(dtype);
}

core::Value Vectors::metadata(const std::string& key) const {
  const auto it = file_.metadata().find(key);
  return it == file_.metadata().end() ? core::Value() : core::parse_json(it->second, path_ + " metadata '" + key + "'");
}

std::vector<std::string> Vectors::names(std::string_view prefix) const {
  std::vector<std::string> out;
  for (const core::TensorView& t : file_.tensors())
    if (t.name.starts_with(prefix)) out.push_back(t.name.substr(prefix.size()));
  return out;
}

void Vectors::load(const tensor::Params& params, const Tensor& flat, const std::string& prefix) const {
  const at::NoGradGuard no_grad;
  for (const auto& e : params.entries()) {
    const Tensor value = at(prefix + e.name, flat.scalar_type());
    if (value.sizes().vec() != e.shape)
      throw core::DataError("parity", path_ + ": " + prefix + e.name + " has another shape than the model's");
    params.view(flat, e).copy_(value);
  }
}

arch::Built Vectors::build(int64_t seq_len, const ParityOptions& options, const core::Value& more) const {
  core::Value config = metadata("config");
  if (!config.is_object()) throw core::DataError("parity", path_ + ": the metadata has no 'config' object");
  const auto variant = file_.metadata().find("variant");
  const std::string name = variant != file_.metadata().end() ? variant->second : config.at("arch").as_string();
  config.erase("arch");
  for (const auto& [option, value] : more.as_object()) config[option] = value;
  if (variant != file_.metadata().end()) config = as_published(arch::find_architecture(name), config);
  config = completed(config, arch::find_architecture(name).schema());
  arch::BuildOptions build;
  build.device = options.device;
  build.dtype = options.dtype;
  arch::Built b;
  try {
    b = arch::build(arch::find_architecture(name), config, {config.at("vocab_size").as_int(), seq_len}, build);
  } catch (const core::ConfigError& e) {
    throw core::ConfigError("parity", path_ + ": " + e.what());
  }
  const std::vector<std::string> stored = names("param/");
  if (stored.size() != b.params->entries().size())
    throw core::DataError("parity", path_ + " holds " + std::to_string(stored.size()) + " parameters; the model has " +
                                        std::to_string(b.params->entries().size()));
  load(*b.params, b.params->values(), "param/");
  for (const auto& s : b.params->states())
    if (has("state/" + s.name)) Tensor(s.value).copy_(at("state/" + s.name, options.dtype));
  if (auto* masked = dynamic_cast<arch::GivenMasks*>(b.model.get()))
    for (const std::string& site : names("mask/")) masked->give_mask(site, at("mask/" + site, options.dtype).to(options.device));
  return b;
}

train::Batch Vectors::batch(int64_t index, const ParityOptions& options) const {
  const auto ids = [&](const char* name) {
    const Tensor all = at(name, at::kLong);
    if (all.dim() != (index < 0 ? 2 : 3)) throw core::DataError("parity", path_ + ": " + name + " has the wrong number of dimensions");
    check_ids(all, metadata("config").at("vocab_size").as_int(), path_);
    return (index < 0 ? all : all.select(0, index)).to(options.device);
  };
  return {ids("input_ids"), ids("target_ids")};
}

Deviation Vectors::compare(const std::string& name, const Tensor& result, double bound) const {
  const Tensor want = at(name, at::kDouble);
  if (result.numel() != want.numel())
    throw core::DataError("parity", path_ + ": '" + name + "' has another number of entries than the result");
  const Tensor difference = (result.detach().cpu().to(at::kDouble).reshape(want.sizes()) - want).abs();
  return {name, want.numel() == 0 ? 0 : difference.max().item().toDouble(), bound};
}

double Vectors::largest(std::string_view prefix) const {
  double most = 0;
  for (const std::string& n : names(prefix)) {
    const Tensor t = at(std::string(prefix) + n, at::kDouble);
    if (t.numel() > 0) most = std::max(most, t.abs().max().item().toDouble());
  }
  return most;
}

bool ParityReport::pass() const {
  return !deviations.empty() && std::all_of(deviations.begin(), deviations.end(), [](const Deviation& d) { return d.pass(); });
}

const Deviation& ParityReport::worst() const {
  const auto share = [](const Deviation& d) { return std::isnan(d.error) ? std::numeric_limits<double>::infinity() : d.error / d.bound; };
  return *std::max_element(deviations.begin(), deviations.end(),
                           [&](const Deviation& a, const Deviation& b) { return share(a) < share(b); });
}

ParityReport replay(const std::string& path, const ParityOptions& options) {
  const Vectors v(path);
  const auto name = v.file().metadata().find("case");
  if (name != v.file().metadata().end())
    for (const auto functions : {training_functions(), decoder_functions()})
      for (const FunctionReplay& f : functions)
        if (name->second.starts_with(f.name)) return f.run(v, options);
  if (v.has("logits")) return replay_model(v, options);
  if (v.has("loss") && !v.names("final/").empty()) return replay_trajectory(v, options);
  if (!v.names("before/").empty() && !v.names("after/0/").empty()) return replay_optimizer(v, options);
  throw core::DataError(
      "parity", path + " is no model, trajectory, optimizer or function file: it has neither 'logits' nor 'final/...' nor 'before/...'");
}

}  // namespace assay::audit
