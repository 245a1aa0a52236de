#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "assay/core/file.h"

namespace assay::data {

// Token shards: 256 little-endian int32 (magic 20240520, version 1, token count, zeros), then uint16 tokens.
inline constexpr int32_t kShardMagic = 20240520;
inline constexpr int32_t kShardVersion = 1;
inline constexpr uint64_t kShardHeaderBytes = 1024;

// A sequence of tokens with random access; the concatenation of everything behind it.
class TokenSource {
 public:
  virtual ~TokenSource() = default;
  virtual uint64_t size() const = 0;
  virtual void read(uint64_t offset, uint64_t n, uint16_t* out) const = 0;  // DataError beyond the end or on a short read
  virtual std::string hash() const = 0;                                     // of contents, 32 hex digits
};

std::unique_ptr<TokenSource> tokens_in_memory(std::vector<uint16_t> tokens);

// One shard, held open and read by pread (a file truncated under us is an error, never SIGBUS). Opening checks header, exact size
// (1024 + 2 count) and every id < vocab. DataError names the file, the field, what was wanted and what was found.
std::unique_ptr<TokenSource> open_shard(const std::string& path, int64_t vocab);
// Several shards in the order given, as one sequence.
std::unique_ptr<TokenSource> open_shards(const std::vector<std::string>& paths, int64_t vocab);

struct ShardInfo {
  std::string path;
  uint64_t tokens = 0;
  uint16_t max_id = 0;
  std::string hash;
};
ShardInfo verify_shard(const std::string& path, int64_t vocab);  // vocab <= 0: 65536

// Writes through the durable file layer; ConfigError above INT32_MAX tokens.
void write_shard(core::FileSystem& fs, const std::string& path, const std::vector<uint16_t>& tokens);

// Files in a directory whose names match "*_train_*.bin" or "*_val_*.bin" (split = "train" | "val"), sorted; or a glob; or one
// file. DataError where nothing matches.
std::vector<std::string> find_shards(const std::string& path, std::string_view split);

}  // namespace assay::data
