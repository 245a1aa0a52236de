#pragma once
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "assay/core/file.h"
#include "assay/core/value.h"
#include "assay/data/corpus.h"

namespace assay::data {

// A directory of shards with manifest.json beside them, as `assay data make` and `assay data encode` write it (docs/data.md).
struct Dataset {
  std::string name;                                       // shards are <name>_<split>_000000.bin
  std::vector<std::pair<std::string, Tokenized>> splits;  // "train", "val"
  const Tokenizer* tokenizer = nullptr;                   // null: tokens without text
  std::string model_path;                                 // of a SentencePiece tokenizer: copied into the directory
  core::Value source;                                     // where the text came from
};

inline constexpr uint64_t kShardTokens = 100'000'000;  // in each shard but the last

// ConfigError where `directory` holds a manifest, shards or another model of that name and `force` is not set, or where it holds shards
// of another name.
void check_output(const std::string& directory, const std::string& name, const std::string& model_path, bool force);
// Writes shards, model and then the manifest, which it returns. What it wrote is removed again where a write fails.
core::Value write_dataset(core::FileSystem& fs, const Dataset& dataset, const std::string& directory, bool force,
                          uint64_t shard_tokens = kShardTokens);

// The tokenizer of the shards at `path` (a directory, or files in one): the manifest's, else the only *.model file there, else null.
// ConfigError where there are several; DataError where the manifest's is missing or another one.
std::unique_ptr<Tokenizer> tokenizer_beside(const std::string& path);

// The manifest at `path`, null where there is no such file. DataError: no JSON object, another format.
core::Value read_manifest(const std::string& path);
// Its `hash`: of all shards' hashes and the tokenizer's.
std::string hash_of_manifest(const core::Value& manifest);
bool is_shard_name(std::string_view file);  // *_train_*.bin or *_val_*.bin
inline constexpr const char* kManifest = "manifest.json";

// The `source` of the manifest of the shards at `path`; null where there is no manifest.
core::Value source_beside(const std::string& path);

// What in a directory differs from its manifest: "" or the first fault. `verified` are the directory's shards.
std::string fault_of_manifest(const std::string& directory, const std::vector<ShardInfo>& verified);

}  // namespace assay::data
