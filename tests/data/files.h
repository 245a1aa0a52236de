#pragma once
#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "assay/core/file.h"
#include "assay/data/shards.h"
#include "core/refusal.h"
#include "core/scratch.h"

namespace assay::test {

inline void write(const std::string& path, std::string_view content) {
  std::ofstream(path, std::ios::binary).write(content.data(), static_cast<std::streamsize>(content.size()));
}

inline std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_tokens(const std::string& path, const std::vector<uint16_t>& tokens) {
  data::write_shard(core::real_files(), path, tokens);
}

// first, first + 1, ... : every place in a stream can be told from every other
inline std::vector<uint16_t> counting(size_t n, uint16_t first = 0) {
  std::vector<uint16_t> out(n);
  for (size_t i = 0; i < n; ++i) out[i] = static_cast<uint16_t>(first + i);
  return out;
}

inline std::vector<uint16_t> all_of(const data::TokenSource& source) {
  std::vector<uint16_t> out(source.size());
  source.read(0, out.size(), out.data());
  return out;
}

}  // namespace assay::test
