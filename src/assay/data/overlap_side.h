#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "assay/data/shards.h"
#include "assay/data/tokenizer.h"

namespace assay::data {

// One of two texts to compare, as tokens. Text is bytes: the ids of the byte tokenizer, bos before each document.
struct OverlapSide {
  std::string path;
  std::unique_ptr<TokenSource> tokens;
  std::unique_ptr<Tokenizer> tokenizer;                 // null: shards without one, which are one document
  bool from_shards = false;                             // `tokens` are those of the files: a token has a place in its file
  std::vector<std::pair<std::string, uint64_t>> files;  // with the token of `tokens` at which each begins

  int64_t bos() const { return tokenizer ? tokenizer->bos() : -1; }
  bool bytes() const;  // a token is a byte of text
  size_t file_at(uint64_t token) const;
};

struct OverlapSides {
  OverlapSide train, val;
};

struct OverlapPaths {
  std::string train, val;          // val empty: that of `train`, which is then a directory of shards, a text or an embedded corpus
  std::string tokenizer = "auto";  // of shards: auto (the one beside them), bytes or a .model file
  bool split_paragraphs = false;   // a blank line ends a document of a .txt file
};

// Opens both sides so that equal text gives equal tokens: shards of one tokenizer as they are, all else as text, for which shards are
// decoded. ConfigError / DataError that names the path: nothing there, malformed, shards of different or unknown tokenizers that
// cannot be brought together.
OverlapSides open_overlap_sides(const OverlapPaths& paths);

}  // namespace assay::data
