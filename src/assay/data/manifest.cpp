#include "assay/data/manifest.h"

#include <algorithm>
#include <cstdio>

#include "assay/core/error.h"
#include "assay/core/hash.h"
#include "assay/core/log.h"
#include "assay/data/path.h"
#include "assay/data/positioned_file.h"
#include "assay/data/sentencepiece_model.h"

namespace assay::data {
namespace {

constexpr int64_t kFormat = 1;

std::string directory_of(const std::string& path) {
  if (core::directory_exists(path)) return path;
  const size_t slash = path.find_last_of('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

bool is_shard_of(std::string_view file, const std::string& name) {
  return is_shard_name(file) && (file.starts_with(name + "_train_") || file.starts_with(name + "_val_"));
}

std::string shard_name(const Dataset& dataset, const std::string& split, size_t index) {
  char number[24];
  std::snprintf(number, sizeof number, "%06zu", index);
  return dataset.name + "_" + split + "_" + number + ".bin";
}

// Writes files and takes them back where a later one fails.
class Writer {
 public:
  Writer(core::FileSystem& fs, std::string directory)
      : fs_(fs), directory_(std::move(directory)), made_directory_(!core::directory_exists(directory_)) {}
  ~Writer() {
    if (committed_) return;
    for (const std::string& path : written_) remove(path);
    if (made_directory_ && core::directory_exists(directory_)) remove(directory_);
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  void directory() { core::make_directories(fs_, directory_); }
  void shard(const std::string& name, const std::vector<uint16_t>& tokens) { write_shard(fs_, claim(name), tokens); }
  void file(const std::string& name, std::string_view content) { core::write_file(fs_, claim(name), content); }
  void drop_others(const std::string& dataset) {
    for (const std::string& name : core::list_directory(directory_)) {
      const std::string path = join_path(directory_, name);
      if (is_shard_of(name, dataset) && std::find(written_.begin(), written_.end(), path) == written_.end()) fs_.remove_all(path);
    }
  }
  void commit() { committed_ = true; }

 private:
  const std::string& claim(const std::string& name) { return written_.emplace_back(join_path(directory_, name)); }
  void remove(const std::string& path) noexcept {
    try {
      fs_.remove_all(path);
    } catch (const core::Error& e) {  // the error that brought us here is the one to throw
      core::warn(e.what());
    }
  }

  core::FileSystem& fs_;
  std::string directory_;
  bool made_directory_, committed_ = false;
  std::vector<std::string> written_;
};

core::Value write_split(Writer& writer, const Dataset& dataset, const std::string& split, const Tokenized& text, uint64_t shard_tokens) {
  core::Value shards = core::Value::array();
  for (uint64_t at = 0; at < text.tokens.size() || shards.size() == 0; at += shard_tokens) {
    const uint64_t end = std::min<uint64_t>(at + shard_tokens, text.tokens.size());
    std::vector<uint16_t> part(text.tokens.begin() + static_cast<std::ptrdiff_t>(at),
                               text.tokens.begin() + static_cast<std::ptrdiff_t>(end));
    const std::string name = shard_name(dataset, split, shards.size());
    writer.shard(name, part);
    core::Value entry = core::Value::object();
    entry["file"] = name;
    entry["tokens"] = uint64_t{part.size()};
    entry["hash"] = tokens_in_memory(std::move(part))->hash();
    shards.push_back(std::move(entry));
  }
  core::Value out = core::Value::object();
  out["tokens"] = uint64_t{text.tokens.size()};
  out["documents"] = text.documents;
  out["shards"] = std::move(shards);
  return out;
}

core::Value describe(const Tokenizer& tokenizer, const std::string& model_path) {
  core::Value out = core::Value::object();
  out["description"] = tokenizer.description();
  out["vocab_size"] = tokenizer.vocab_size();
  out["hash"] = tokenizer.hash();
  out["file"] = model_path.empty() ? core::Value() : core::Value(base_name(model_path));
  return out;
}

core::Value manifest_in(const std::string& directory) { return read_manifest(join_path(directory, kManifest)); }

std::unique_ptr<Tokenizer> tokenizer_of(const core::Value& manifest, const std::string& directory) {
  const core::Value& entry = manifest.at("tokenizer");
  if (entry.is_null()) return nullptr;
  const core::Value& file = entry.at("file");
  std::unique_ptr<Tokenizer> tokenizer;
  if (file.is_null()) tokenizer = open_tokenizer(entry.at("description").as_string());
  else tokenizer = sentencepiece_tokenizer(join_path(directory, base_name(file.as_string())));
  if (tokenizer->hash() != entry.at("hash").as_string()) {
    throw core::DataError("data", join_path(directory, kManifest) + ": tokenizer hash: wanted " + entry.at("hash").as_string() +
                                      ", found " + tokenizer->hash() + " of " + tokenizer->description());
  }
  return tokenizer;
}

}  // namespace

bool is_shard_name(std::string_view name) {
  return name.ends_with(".bin") && (name.find("_train_") != std::string_view::npos || name.find("_val_") != std::string_view::npos);
}

std::string hash_of_manifest(const core::Value& manifest) {
  const core::Value& tokenizer = manifest.at("tokenizer");
  std::string all = tokenizer.is_null() ? "" : tokenizer.at("hash").as_string();
  for (const auto& [split, value] : manifest.at("splits").as_object()) {
    for (const core::Value& shard : value.at("shards").as_array()) all += split + shard.at("hash").as_string();
  }
  return core::hash128_hex(all);
}

core::Value read_manifest(const std::string& path) {
  if (!core::file_exists(path)) return {};
  core::Value manifest = core::parse_json(core::read_file(path, uint64_t{1} << 20), path);
  if (!manifest.is_object()) throw core::DataError("data", path + ": wanted an object, found " + manifest.kind());
  const core::Value* format = manifest.find("format");
  if (!format || !format->is_int() || format->as_int() != kFormat) {
    throw core::DataError("data", path + ": format: wanted " + std::to_string(kFormat) + ", found " +
                                      (format ? core::to_json(*format) : std::string("none")));
  }
  return manifest;
}

void check_output(const std::string& directory, const std::string& name, const std::string& model_path, bool force) {
  if (core::file_exists(directory)) throw core::ConfigError("data", directory + ": wanted a directory, found a file");
  if (!core::directory_exists(directory)) return;
  for (const std::string& file : core::list_directory(directory)) {
    const bool ours = file == kManifest || is_shard_of(file, name);
    if (is_shard_name(file) && !ours) {
      throw core::ConfigError("data", join_path(directory, file) + " belongs to other data; a directory holds one set of shards");
    }
    const bool in_the_way = file == base_name(model_path) && !same_file(join_path(directory, file), model_path);
    if ((ours || in_the_way) && !force) throw core::ConfigError("data", join_path(directory, file) + " exists; --force replaces it");
  }
}

core::Value write_dataset(core::FileSystem& fs, const Dataset& dataset, const std::string& directory, bool force, uint64_t shard_tokens) {
  check_output(directory, dataset.name, dataset.model_path, force);
  core::Value manifest = core::Value::object();
  manifest["format"] = kFormat;
  manifest["name"] = dataset.name;
  manifest["source"] = dataset.source;
  manifest["tokenizer"] = dataset.tokenizer ? describe(*dataset.tokenizer, dataset.model_path) : core::Value();
  core::Value splits = core::Value::object();
  Writer writer(fs, directory);
  writer.directory();
  for (const auto& [split, text] : dataset.splits) splits[split] = write_split(writer, dataset, split, text, shard_tokens);
  manifest["splits"] = std::move(splits);
  manifest["hash"] = hash_of_manifest(manifest);
  const std::string copy = join_path(directory, base_name(dataset.model_path));
  if (!dataset.model_path.empty() && !same_file(dataset.model_path, copy)) {
    writer.file(base_name(copy), core::read_file(dataset.model_path, kModelFileLimit));
  }
  writer.file(kManifest, core::to_json(manifest, 2) + "\n");
  writer.drop_others(dataset.name);
  writer.commit();
  return manifest;
}

std::unique_ptr<Tokenizer> tokenizer_beside(const std::string& path) {
  const std::string directory = directory_of(path);
  if (!core::directory_exists(directory)) return nullptr;
  const core::Value manifest = manifest_in(directory);
  if (!manifest.is_null()) return tokenizer_of(manifest, directory);
  std::vector<std::string> models;
  for (const std::string& name : core::list_directory(directory)) {
    if (name.ends_with(".model")) models.push_back(join_path(directory, name));
  }
  if (models.size() > 1) {
    throw core::ConfigError("data", "tokenizer: " + models[0] + " and " + models[1] + " both lie beside the shards; say which one");
  }
  return models.empty() ? nullptr : sentencepiece_tokenizer(models[0]);
}

core::Value source_beside(const std::string& path) {
  const std::string directory = directory_of(path);
  const core::Value manifest = core::directory_exists(directory) ? manifest_in(directory) : core::Value();
  const core::Value* source = manifest.is_object() ? manifest.find("source") : nullptr;
  return source ? *source : core::Value();
}

std::string fault_of_manifest(const std::string& directory, const std::vector<ShardInfo>& verified) {
  const core::Value manifest = manifest_in(directory);
  if (manifest.is_null()) return "";
  const std::string where = join_path(directory, kManifest) + ": ";
  std::vector<std::string> listed;
  for (const auto& [split, value] : manifest.at("splits").as_object()) {
    for (const core::Value& shard : value.at("shards").as_array()) {
      const std::string& file = listed.emplace_back(shard.at("file").as_string());
      const auto found = std::find_if(verified.begin(), verified.end(), [&](const ShardInfo& s) { return base_name(s.path) == file; });
      if (found == verified.end()) return where + file + " is listed, but it is not in the directory";
      if (found->hash != shard.at("hash").as_string()) {
        return where + file + " hash: wanted " + shard.at("hash").as_string() + ", found " + found->hash;
      }
    }
  }
  for (const ShardInfo& s : verified) {
    if (std::find(listed.begin(), listed.end(), base_name(s.path)) == listed.end()) return where + base_name(s.path) + " is not listed";
  }
  return "";
}

}  // namespace assay::data
