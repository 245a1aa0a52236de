#include <algorithm>

#include "assay/data/corpus.h"

namespace assay::data {

TextSize text_size(const TokenSource& source, const Tokenizer& tokenizer) {
  constexpr uint64_t chunk = uint64_t{1} << 20;
  const Tokenizer::ByteTable table = tokenizer.byte_table();
  // Ids beyond the tokenizer are padding of a larger vocabulary: no text, and a border like control ids.
  const auto known = [&](uint16_t id) { return id < table.bytes.size(); };
  TextSize out;
  std::vector<uint16_t> tokens;
  for (uint64_t at = 0; at + 1 < source.size(); at += tokens.size() - 1) {
    tokens.resize(std::min(chunk, source.size() - at));
    source.read(at, tokens.size(), tokens.data());
    for (size_t i = 1; i < tokens.size(); ++i) {
      const uint16_t x = tokens[i - 1], y = tokens[i];
      if (!known(y)) continue;
      const bool space = table.leading_space[y] && known(x) && !table.boundary[x];
      out.bytes += table.bytes[y] + (space ? 1 : 0);
    }
    out.tokens += tokens.size() - 1;
  }
  return out;
}

}  // namespace assay::data
