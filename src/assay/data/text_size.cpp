#include "assay/data/byte_count.h"
#include "assay/data/corpus.h"

namespace assay::data {

TextSize text_size(const TokenSource& source, const Tokenizer& tokenizer) {
  const ByteCount count = count_bytes(source, tokenizer, 0, source.size());
  return {static_cast<double>(count.table_bytes), count.tokens};
}

}  // namespace assay::data
