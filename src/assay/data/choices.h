#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "assay/core/random.h"

namespace assay::data {

// The source of every decision of a generated document: decision k is a function of the stream and of k. All probabilities pass through
// `choose`, as whole-number weights, so that the probability of a document is the product of exact fractions.
class Choices {
 public:
  explicit Choices(core::Stream stream) : stream_(stream) {}

  // Index i with probability weights[i] / (sum of weights). At least one weight is not zero.
  size_t choose(std::span<const uint16_t> weights) {
    uint32_t total = 0;
    for (const uint16_t w : weights) total += w;
    uint32_t rest = below(total);
    size_t i = 0;
    for (; rest >= weights[i]; ++i) rest -= weights[i];
    return i;
  }

 private:
  // The high half of a 32-bit draw times `total`: off by less than total / 2^32 from exact fractions.
  uint32_t below(uint32_t total) {
    if (used_ == block_.size()) {
      block_ = stream_.block(next_++);
      used_ = 0;
    }
    return static_cast<uint32_t>(uint64_t{block_[used_++]} * total >> 32);
  }

  core::Stream stream_;
  std::array<uint32_t, 4> block_{};
  size_t used_ = 4;
  uint64_t next_ = 0;
};

}  // namespace assay::data
