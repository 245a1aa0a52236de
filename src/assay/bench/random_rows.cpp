#include "assay/bench/random_rows.h"

#include "assay/core/random.h"

namespace assay::bench {

data::Rows random_rows(int64_t rows, int64_t length, int64_t vocab, uint64_t seed) {
  const core::Stream stream(seed, "bench");
  data::Rows r{rows, length, {}, {}};
  for (int64_t i = 0; i < rows * length; ++i) {
    r.inputs.push_back(static_cast<int64_t>(stream.below(static_cast<uint64_t>(2 * i), static_cast<uint64_t>(vocab))));
    r.targets.push_back(static_cast<int64_t>(stream.below(static_cast<uint64_t>(2 * i + 1), static_cast<uint64_t>(vocab))));
  }
  return r;
}

int64_t vocabulary_of(const train::RunConfig& config) {
  const core::Value model = config.model_options();
  const core::Value* configured = model.find("vocab_size");
  return configured != nullptr && configured->as_int() > 0 ? configured->as_int() : 1024;
}

}  // namespace assay::bench
