#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "assay/data/shards.h"

namespace assay::data {

// A stretch that stands in both texts, as long as it can be made inside of one document of each.
struct SharedText {
  uint64_t train = 0, val = 0;                    // its first token in either source
  uint64_t length = 0;                            // tokens
  bool document = false;                          // it is a whole document on both sides
  uint64_t train_document = 0, train_offset = 0;  // which document, from 0, and the token of it, bos not counted
  uint64_t val_document = 0, val_offset = 0;
};

struct Overlap {
  uint64_t train_documents = 0, val_documents = 0;  // empty ones are none
  uint64_t train_tokens = 0, val_tokens = 0;        // without bos
  uint64_t val_documents_identical = 0;             // equal to a training document, whatever its length
  uint64_t val_documents_shared = 0;                // with at least one shared token
  uint64_t val_tokens_shared = 0;                   // in shared n-grams or identical documents
  std::vector<SharedText> longest;                  // longest first; in validation none lies inside of another
};

struct OverlapOptions {
  uint64_t ngram = 50;                           // tokens; what is shorter is not looked for
  size_t longest = 10;                           // stretches to name
  uint64_t windows_at_once = uint64_t{1} << 25;  // n-grams held in memory, 16 bytes each; beyond them the sources are read again
  std::function<void(uint64_t done, uint64_t total)> progress;  // in tokens read
};

// Finds every n-gram of validation that also stands in training, and every validation document that is also a training document.
// Documents are what lies between tokens `bos` (-1: each source is one document); no stretch crosses one. Every finding was compared token
// by token: equal hashes alone are never reported. The smaller source is held in memory, the other one is read in order.
// ConfigError where ngram is 0, DataError where the smaller source has 2^32 - 1 tokens or more.
Overlap find_overlap(const TokenSource& train, const TokenSource& val, int64_t bos, const OverlapOptions& options);

}  // namespace assay::data
