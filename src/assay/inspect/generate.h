#pragma once
#include "assay/train/session.h"

namespace assay::inspect {

struct Sampling {
  int64_t tokens = 100;
  double temperature = 1;  // 0: the most likely token
  int64_t top_k = 0;       // 0: all
  double top_p = 1;        // smallest set of most likely tokens whose probability reaches this
  uint64_t seed = 0;
  int64_t vocab = 0;  // only ids below it; 0: all that the model has, which may be more than the tokenizer
};

// Continues `prompt` (at least one token). Token i is a function of (seed, i) and the tokens before it. A recurrent model sees them all, at
// the same cost for each token; another one sees the last `context`.
std::vector<uint16_t> generate(const arch::Built& built, std::vector<uint16_t> prompt, int64_t context, const Sampling& sampling,
                               const std::function<void(uint16_t)>& each);

// One draw from logits (natural, unnormalised): temperature, then top-k, then top-p, then a uniform number u in (0, 1).
int64_t sample(const std::vector<double>& logits, const Sampling& s, double u);

}  // namespace assay::inspect
