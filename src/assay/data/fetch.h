#pragma once
#include <functional>
#include <string>

#include "assay/core/file.h"
#include "assay/core/value.h"

namespace assay::data {

struct FetchOptions {
  std::string out;     // directory
  std::string url;     // "": the manifest's
  int64_t shards = 0;  // of training, the first ones; 0: all
  int64_t retries = 3;
  std::function<void(uint64_t done, uint64_t all, const std::string& file)> progress;  // bytes of all files; all = 0 where not known
};

// Fetches what a manifest lists (docs/data.md: `url`, and of each file `bytes` and `sha256`) into a directory: tokenizer, validation, training shards, in
// this order. A file that is there is compared instead. Each file gets its name only when its size, its sum and its content (shard header, every
// id below the vocabulary, the manifest's own hashes) are right. Sums that the manifest does not state are recorded in DIR/fetched.json when they are
// first seen, and a file that differs later is refused. DIR/manifest.json says after each file what the directory holds.
// -> {"out", "name", "files": [{"file", "url", "bytes", "sha256", "state": "fetched" | "resumed" | "present", "resumed_from"}], "bytes_fetched"}.
// ConfigError: the directory holds other data, is in use, or there is no address. DataError, ResourceError: as `download`, and for the manifest
// itself naming the field.
core::Value fetch(core::FileSystem& fs, const std::string& manifest_path, const FetchOptions& options);

}  // namespace assay::data
