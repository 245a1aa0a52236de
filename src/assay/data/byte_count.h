#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "assay/data/shards.h"
#include "assay/data/tokenizer.h"

namespace assay::data {

// Bytes of UTF-8 text that tokens stand for. The byte table [vocab-space 6] is the divisor of bits per byte by definition; `lower` and
// `upper` say what is known about the text itself, so that a table which miscounts is seen. Where `exact` is set, lower == upper is the
// true size; else the truth lies between them and `reason` says in words why no more is known.
//
// What is taken for granted about tokens alone: encoding made them from valid UTF-8, one document at a time, and control ids stand
// between documents where there are any. A text's own U+2581 is counted as the space that SentencePiece takes it for (`reason` says so).
struct ByteCount {
  static constexpr uint64_t kUnbounded = UINT64_MAX;
  uint64_t tokens = 0;         // those counted
  uint64_t table_bytes = 0;    // by the byte table: b[y], and 1 more where y begins with a space and follows an ordinary token
  uint64_t decoded_bytes = 0;  // what they decode to: normalised text where the tokenizer normalises, nothing for unknown ids
  uint64_t lower = 0, upper = 0;
  bool exact = false;
  std::string reason;
};

// The tokens [first + 1, end) of a source; token `first` is only what comes before them (for windows of an evaluation: the first input,
// and one behind the last target). Characters that a border cuts are counted by their bytes on each side.
// DataError where first >= end, unless both are 0, or end > source.size().
ByteCount count_bytes(const TokenSource& source, const Tokenizer& tokenizer, uint64_t first, uint64_t end);

// The same for tokens that `tokenize(documents, tokenizer)` made, where the text itself is known: each document that lies wholly in
// the range counts with its true size, whatever the tokenizer made of it, and bounds remain for the two that a border may cut.
// `reason` says how many documents do not come back as decode(encode(x)).
ByteCount count_bytes(const std::vector<std::string>& documents, const Tokenizer& tokenizer, uint64_t first, uint64_t end);
ByteCount count_bytes(const std::vector<std::string>& documents, const Tokenizer& tokenizer);  // all of them

}  // namespace assay::data
