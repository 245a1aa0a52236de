#include "assay/train/checkpoint.h"

#include <ATen/ops/isfinite.h>

#include <algorithm>
#include <cstring>

#include "assay/core/error.h"
#include "assay/core/hash.h"
#include "assay/core/log.h"
#include "assay/core/safetensors.h"

namespace assay::train {
namespace {

constexpr const char* kModel = "model.safetensors";
constexpr const char* kOptimizer = "optimizer.safetensors";
constexpr const char* kManifest = "manifest.json";

std::string checkpoints_of(const std::string& run_directory) { return run_directory + "/checkpoints"; }

core::DType dtype_of(const Tensor& t) { return t.scalar_type() == at::kDouble ? core::DType::f64 : core::DType::f32; }

using optim::NamedState;

// What model.safetensors holds: parameters by name, the model's own statistics as state/NAME.
std::vector<NamedState> model_tensors(const tensor::Params& params, const Tensor& values) {
  std::vector<NamedState> out;
  for (const auto& e : params.entries()) out.push_back({e.name, params.view(values, e)});
  for (const auto& s : params.states()) out.push_back({"state/" + s.name, s.value});
  return out;
}

// Writes the file and returns its manifest entry; the checksum is of the bytes in memory, so that a bad disk is noticed.
core::Value write_part(core::FileSystem& fs, const std::string& directory, const char* name, const std::vector<NamedState>& state) {
  std::vector<Tensor> host;
  std::vector<core::TensorView> tensors;
  for (const NamedState& s : state) {
    host.push_back(s.value.detach().cpu().contiguous());
    const Tensor& t = host.back();
    tensors.push_back({s.name, dtype_of(t), t.sizes().vec(), std::string_view(static_cast<const char*>(t.const_data_ptr()), t.nbytes())});
  }
  std::string bytes = core::safetensors_header(tensors, {{"format", "assay"}});
  for (const core::TensorView& t : tensors) bytes.append(t.bytes);
  core::write_file(fs, directory + "/" + name, bytes);
  core::Value v = core::Value::object();
  v["size"] = static_cast<int64_t>(bytes.size());
  v["xxh3_128"] = core::hash128_hex(bytes);
  return v;
}

core::Value to_value(const Counters& c) {
  core::Value v = core::Value::object();
  v["step"] = c.step;
  v["micro_batch"] = c.micro_batch;
  v["optimizer_updates"] = c.optimizer_updates;
  v["elapsed"] = c.elapsed;
  v["threads"] = c.threads;
  v["product"] = c.product;
  v["data_hash"] = c.data_hash;
  v["fingerprint"] = c.fingerprint;
  return v;
}

std::string directory_name(int64_t step) {
  const std::string digits = std::to_string(step);
  return "step-" + std::string(digits.size() < 9 ? 9 - digits.size() : 0, '0') + digits;
}

std::vector<std::string> checkpoint_names(const std::string& run_directory) {  // newest first
  std::vector<std::string> names;
  if (!core::directory_exists(checkpoints_of(run_directory))) return names;
  for (const std::string& n : core::list_directory(checkpoints_of(run_directory)))
    if (n.starts_with("step-") && n.find('.') == std::string::npos) names.push_back(n);
  std::sort(names.rbegin(), names.rend());
  return names;
}

// Of everything else in the manifest: a flipped digit of a counter would otherwise go unnoticed.
std::string checksum_of(core::Value manifest) {
  manifest.erase("xxh3_128");
  return core::hash128_hex(core::to_json(manifest));
}

// DataError where anything does not hold.
core::Value verified_manifest(const std::string& directory) {
  const std::string path = directory + "/" + kManifest;
  core::Value manifest = core::parse_json(core::read_file(path, 16 << 20), path);
  if (checksum_of(manifest) != manifest.at("xxh3_128").as_string())
    throw core::DataError("checkpoint", path + " does not match its own checksum");
  for (const char* name : {kModel, kOptimizer}) {
    const core::Value& part = manifest.at("files").at(name);
    const std::string file = directory + "/" + name;
    const auto size = static_cast<int64_t>(core::file_size(file));
    if (size != part.at("size").as_int())
      throw core::DataError(
          "checkpoint", file + " holds " + std::to_string(size) + " bytes; its manifest says " + std::to_string(part.at("size").as_int()));
    if (core::hash_file(file) != part.at("xxh3_128").as_string())
      throw core::DataError("checkpoint", file + " does not match its checksum");
  }
  manifest.at("counters").at("step").as_int();
  return manifest;
}

// Copies the file's tensors into those of the same names; all of them, and no other.
void load_into(const core::SafeTensors& file, const std::string& path, const std::vector<NamedState>& state) {
  const at::NoGradGuard no_grad;
  if (file.tensors().size() != state.size())
    throw core::DataError("checkpoint", path + " holds " + std::to_string(file.tensors().size()) + " tensors; this model has " +
                                            std::to_string(state.size()));
  for (const NamedState& s : state) {
    const core::TensorView& t = file.at(s.name);
    if (t.shape != s.value.sizes().vec() || t.dtype != dtype_of(s.value))
      throw core::DataError("checkpoint", path + ": tensor '" + t.name + "' has another shape or dtype than this model's");
    Tensor host = at::empty(t.shape, at::TensorOptions().dtype(s.value.scalar_type()));
    std::memcpy(host.mutable_data_ptr(), t.bytes.data(), t.bytes.size());
    if (!at::isfinite(host).all().item().toBool()) throw core::DataError("checkpoint", path + ": tensor '" + t.name + "' is not finite");
    Tensor(s.value).copy_(host);
  }
}

}  // namespace

void save_checkpoint(core::FileSystem& fs, const std::string& run_directory, const RunConfig& config, arch::Built& built,
                     optim::Optimizer& optimizer, const Counters& counters) {
  const Tensor values = built.params->values().cpu();
  core::make_directories(fs, checkpoints_of(run_directory));
  core::commit_directory(fs, checkpoints_of(run_directory) + "/" + directory_name(counters.step), [&](const std::string& staging) {
    core::Value manifest = core::Value::object();
    manifest["format"] = "assay-checkpoint-1";
    manifest["counters"] = to_value(counters);
    manifest["files"] = core::Value::object();
    manifest["files"][kModel] = write_part(fs, staging, kModel, model_tensors(*built.params, values));
    manifest["files"][kOptimizer] = write_part(fs, staging, kOptimizer, optimizer.state());
    manifest["config"] = config.to_document();
    manifest["xxh3_128"] = checksum_of(manifest);
    core::write_file(fs, staging + "/" + kManifest, core::to_json(manifest, 2) + "\n");
  });
}

Counters FoundCheckpoint::counters() const {
  const core::Value& c = manifest.at("counters");
  return {c.at("step").as_int(),       c.at("micro_batch").as_int(),  c.at("optimizer_updates").as_int(), c.at("elapsed").as_double(),
          c.at("product").as_string(), c.at("data_hash").as_string(), c.at("fingerprint").as_string(),    c.at("threads").as_int()};
}

std::optional<FoundCheckpoint> newest_checkpoint(const std::string& run_directory) {
  for (const std::string& name : checkpoint_names(run_directory)) {
    const std::string directory = checkpoints_of(run_directory) + "/" + name;
    try {
      return FoundCheckpoint{directory, verified_manifest(directory)};
    } catch (const core::Error& e) {
      core::warn("checkpoint " + directory + " is damaged and passed over: " + e.what());
    }
  }
  return std::nullopt;
}

FoundCheckpoint open_checkpoint(const std::string& directory) {
  if (!core::directory_exists(directory)) throw core::DataError("checkpoint", directory + " is no directory; wanted a run or a checkpoint");
  if (core::file_exists(directory + "/" + kManifest)) return {directory, verified_manifest(directory)};
  if (auto found = newest_checkpoint(directory)) return *found;
  throw core::DataError("checkpoint", directory + " holds no checkpoint that verifies");
}

void load_checkpoint(const FoundCheckpoint& found, arch::Built& built, optim::Optimizer* optimizer) {
  load_weights(found.directory + "/" + kModel, built);
  if (optimizer == nullptr) return;
  const std::string path = found.directory + "/" + kOptimizer;
  load_into(core::SafeTensors::read(path), path, optimizer->state());
  optimizer->set_updates(found.counters().optimizer_updates);
}

void load_weights(const std::string& path, arch::Built& built) {
  load_into(core::SafeTensors::read(path), path, model_tensors(*built.params, built.params->values()));
}

void remove_unfinished(core::FileSystem& fs, const std::string& run_directory) {
  if (!core::directory_exists(checkpoints_of(run_directory))) return;
  for (const std::string& n : core::list_directory(checkpoints_of(run_directory)))
    if (n.find(".tmp-") != std::string::npos || n.find(".old-") != std::string::npos)
      fs.remove_all(checkpoints_of(run_directory) + "/" + n);
}

void remove_old_checkpoints(core::FileSystem& fs, const std::string& run_directory, int64_t keep) {
  const std::vector<std::string> names = checkpoint_names(run_directory);
  for (size_t i = static_cast<size_t>(keep); i < names.size(); ++i) fs.remove_all(checkpoints_of(run_directory) + "/" + names[i]);
}

}  // namespace assay::train
