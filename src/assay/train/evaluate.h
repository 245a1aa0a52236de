#pragma once
#include <optional>

#include "assay/train/session.h"

namespace assay::train {

struct Evaluation {
  double loss = 0;  // nats a token
  int64_t tokens = 0;
  std::optional<double> bits_per_byte;  // where there is a tokenizer: loss / ln 2 * tokens / bytes [vocab-space 6]
  int64_t bytes = 0;
};

// Mean loss over the first `max_tokens` targets (rounded down to whole windows; 0 = all) of `tokens`, `rows` windows at a time.
// DataError where not even one window is full.
Evaluation evaluate(const arch::Built& built, const data::TokenSource& tokens, const data::Tokenizer* tokenizer, int64_t seq_len,
                    int64_t rows, int64_t max_tokens);

}  // namespace assay::train
