#include "assay/data/shards.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>

#include "assay/core/error.h"
#include "assay/core/hash.h"
#include "assay/data/positioned_file.h"

namespace assay::data {
namespace {

static_assert(std::endian::native == std::endian::little, "shards are little-endian and are read without conversion");

constexpr uint64_t kPassTokens = uint64_t{1} << 20;  // tokens read at once by passes over a whole source
constexpr int64_t kIds = 65536;                      // what uint16 can name

[[noreturn]] void fail_shard(const std::string& path, const std::string& message) {
  throw core::DataError("shards", path + ": " + message);
}

void check_range(uint64_t offset, uint64_t n, uint64_t size) {
  if (offset > size || n > size - offset) {
    throw core::DataError("tokens", "asked for " + std::to_string(n) + " tokens at " + std::to_string(offset) + " of a source that holds " +
                                        std::to_string(size));
  }
}

// Calls f(first index, tokens) for consecutive chunks of the whole source.
template <class F>
void for_each_chunk(const TokenSource& source, F f) {
  std::vector<uint16_t> chunk;
  for (uint64_t at = 0; at < source.size(); at += chunk.size()) {
    chunk.resize(std::min(kPassTokens, source.size() - at));
    source.read(at, chunk.size(), chunk.data());
    f(at, chunk);
  }
}

std::string_view bytes_of(const std::vector<uint16_t>& tokens) {
  return {reinterpret_cast<const char*>(tokens.data()), tokens.size() * sizeof(uint16_t)};
}

// The hash of the hashes of all chunks: equal tokens give equal hashes, whatever files they are spread over.
std::string hash_tokens(const TokenSource& source) {
  std::string hashes;
  for_each_chunk(source, [&](uint64_t, const std::vector<uint16_t>& chunk) { hashes += core::hash128_hex(bytes_of(chunk)); });
  return core::hash128_hex(hashes);
}

class MemorySource final : public TokenSource {
 public:
  explicit MemorySource(std::vector<uint16_t> tokens) : tokens_(std::move(tokens)) {}
  uint64_t size() const override { return tokens_.size(); }
  void read(uint64_t offset, uint64_t n, uint16_t* out) const override {
    check_range(offset, n, size());
    std::copy_n(tokens_.begin() + static_cast<std::ptrdiff_t>(offset), n, out);
  }
  std::string hash() const override { return hash_tokens(*this); }

 private:
  std::vector<uint16_t> tokens_;
};

// Checks everything that the header promises and returns the number of tokens.
uint64_t read_header(const PositionedFile& file) {
  const std::string& path = file.path();
  if (file.size() < kShardHeaderBytes) {
    fail_shard(
        path, "header: a shard begins with " + std::to_string(kShardHeaderBytes) + " bytes, the file holds " + std::to_string(file.size()));
  }
  std::array<int32_t, 3> header{};
  file.read(0, header.data(), sizeof header);
  if (header[0] != kShardMagic) fail_shard(path, "magic: wanted " + std::to_string(kShardMagic) + ", found " + std::to_string(header[0]));
  if (header[1] != kShardVersion)
    fail_shard(path, "version: wanted " + std::to_string(kShardVersion) + ", found " + std::to_string(header[1]));
  if (header[2] < 0) fail_shard(path, "token count: wanted 0 or more, found " + std::to_string(header[2]));
  const uint64_t count = static_cast<uint64_t>(header[2]);
  const uint64_t wanted = kShardHeaderBytes + 2 * count;
  if (file.size() != wanted) {
    fail_shard(path, "token count: header says " + std::to_string(count) + " tokens, which is " + std::to_string(wanted) +
                         " bytes; the file holds " + std::to_string(file.size()));
  }
  return count;
}

class ShardSource final : public TokenSource {
 public:
  explicit ShardSource(const std::string& path) : file_(path, "shards"), count_(read_header(file_)) {}
  uint64_t size() const override { return count_; }
  void read(uint64_t offset, uint64_t n, uint16_t* out) const override {
    check_range(offset, n, count_);
    file_.read(kShardHeaderBytes + 2 * offset, out, 2 * n);
  }
  std::string hash() const override { return hash_tokens(*this); }

  // The largest id. DataError where one is outside the vocabulary.
  uint16_t check_ids(int64_t vocab) const {
    uint16_t largest = 0;
    for_each_chunk(*this, [&](uint64_t at, const std::vector<uint16_t>& chunk) {
      // Most files are clean, so the first pass is one that vectorises; only a failure is searched for.
      const uint16_t in_chunk = *std::max_element(chunk.begin(), chunk.end());
      largest = std::max(largest, in_chunk);
      if (in_chunk >= vocab) report_id(at, chunk, vocab);
    });
    return largest;
  }

 private:
  [[noreturn]] void report_id(uint64_t at, const std::vector<uint16_t>& chunk, int64_t vocab) const {
    const auto bad = std::find_if(chunk.begin(), chunk.end(), [&](uint16_t id) { return id >= vocab; });
    const uint64_t index = at + static_cast<uint64_t>(bad - chunk.begin());
    fail_shard(file_.path(),
               "token " + std::to_string(index) + ": wanted an id below " + std::to_string(vocab) + ", found " + std::to_string(*bad));
  }

  PositionedFile file_;
  uint64_t count_;
};

class Concatenation final : public TokenSource {
 public:
  explicit Concatenation(std::vector<std::unique_ptr<TokenSource>> parts) : parts_(std::move(parts)) {
    for (const auto& part : parts_) ends_.push_back((ends_.empty() ? 0 : ends_.back()) + part->size());
  }
  uint64_t size() const override { return ends_.empty() ? 0 : ends_.back(); }
  void read(uint64_t offset, uint64_t n, uint16_t* out) const override {
    check_range(offset, n, size());
    size_t part = static_cast<size_t>(std::upper_bound(ends_.begin(), ends_.end(), offset) - ends_.begin());
    for (; n > 0; ++part) {
      const uint64_t here = std::min(n, ends_[part] - offset);
      parts_[part]->read(offset - (ends_[part] - parts_[part]->size()), here, out);
      offset += here;
      out += here;
      n -= here;
    }
  }
  std::string hash() const override { return hash_tokens(*this); }

 private:
  std::vector<std::unique_ptr<TokenSource>> parts_;
  std::vector<uint64_t> ends_;
};

int64_t effective(int64_t vocab) { return vocab <= 0 ? kIds : vocab; }

}  // namespace

std::unique_ptr<TokenSource> tokens_in_memory(std::vector<uint16_t> tokens) { return std::make_unique<MemorySource>(std::move(tokens)); }

std::unique_ptr<TokenSource> open_shard(const std::string& path, int64_t vocab) {
  auto shard = std::make_unique<ShardSource>(path);
  shard->check_ids(effective(vocab));
  return shard;
}

std::unique_ptr<TokenSource> open_shards(const std::vector<std::string>& paths, int64_t vocab) {
  std::vector<std::unique_ptr<TokenSource>> parts;
  for (const std::string& path : paths) parts.push_back(open_shard(path, vocab));
  return std::make_unique<Concatenation>(std::move(parts));
}

ShardInfo verify_shard(const std::string& path, int64_t vocab) {
  const ShardSource shard(path);
  ShardInfo info;
  info.path = path;
  info.tokens = shard.size();
  info.max_id = shard.check_ids(effective(vocab));
  info.hash = shard.hash();
  return info;
}

void write_shard(core::FileSystem& fs, const std::string& path, const std::vector<uint16_t>& tokens) {
  constexpr uint64_t limit = std::numeric_limits<int32_t>::max();
  if (tokens.size() > limit) {
    throw core::ConfigError("shards",
                            path + ": a shard holds at most " + std::to_string(limit) + " tokens, not " + std::to_string(tokens.size()));
  }
  std::array<int32_t, kShardHeaderBytes / sizeof(int32_t)> header{};
  header[0] = kShardMagic;
  header[1] = kShardVersion;
  header[2] = static_cast<int32_t>(tokens.size());
  const std::array<std::string_view, 2> pieces{std::string_view(reinterpret_cast<const char*>(header.data()), kShardHeaderBytes),
                                               bytes_of(tokens)};
  core::write_file(fs, path, pieces);
}

}  // namespace assay::data
