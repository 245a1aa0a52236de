#pragma once
#include "assay/bench/bench.h"

namespace assay::bench {

struct GenerationOptions {
  int64_t tokens = 64;                // timed at each context
  int64_t early = 100, late = 10000;  // tokens seen before
};

// Times going on token by token from a memory (arch::Model::next), train.batch rows at once, after `early` and after `late` random tokens, in turns, so
// that a slow minute of the machine slows both. Reports name, device, dtype, batch, vocab_size, threads, product_backend, contexts[] with context, tokens_per_s,
// ms, spread_ms (of a token) and memory_bytes, and ratio, the later context's time over the earlier one's: 1 where the cost is constant.
// Behind a green check: the logits after `early` tokens are those of the parallel form. ConfigError: no recurrent form.
core::Value bench_generation(train::RunConfig& config, const GenerationOptions& options);

}  // namespace assay::bench
