#pragma once
#include <cstdint>
#include <vector>

namespace assay::data {

// What the generator of a token sequence says about it: the sequence falls into pieces (a document with its end symbol, a block of a
// uniform corpus), each with its exact information content. Token 0 is given, every later token is a symbol that can be scored.
struct KnownEntropy {
  // Piece i consists of the tokens [ends[i-1], ends[i]), where ends[-1] = 1. Tokens behind the last end belong to no piece.
  std::vector<uint64_t> ends;
  std::vector<double> nats;  // -log of the probability that the generator gives to piece i, everything before it known

  // Words that agree with something said earlier: tokens [first, end), `distance` words behind the word that decides.
  struct Agreement {
    uint64_t first = 0, end = 0;
    int32_t distance = 0;
  };
  std::vector<Agreement> agreements;  // by position
};

}  // namespace assay::data
