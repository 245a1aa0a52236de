#include <vector>

#include "assay/core/error.h"
#include "assay/data/loader.h"
#include "assay/data/shards.h"
#include "memory_file.h"

// Any bytes are either refused with a printable message or a shard whose every token is below the vocabulary, and whose batches can be read.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace assay;
  constexpr int64_t vocab = 1024;
  const fuzz::MemoryFile file(data, size);
  try {
    const auto shard = data::open_shard(file.path(), vocab);
    fuzz::require(size == data::kShardHeaderBytes + 2 * shard->size());
    std::vector<uint16_t> tokens(shard->size());
    shard->read(0, tokens.size(), tokens.data());
    for (const uint16_t id : tokens) fuzz::require(id < vocab);
    for (const auto order : {data::Loader::Order::shuffled, data::Loader::Order::sequential, data::Loader::Order::blocks}) {
      if (tokens.size() < 5) continue;
      const data::Rows rows = data::Loader(*shard, 2, 2, order, 1).batch(static_cast<int64_t>(tokens[0]));
      for (const int64_t id : rows.targets) fuzz::require(id < vocab);
    }
  } catch (const core::DataError& e) {
    fuzz::require(fuzz::is_printable(e.what()));
  }
  return 0;
}
