#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "assay/core/random.h"

namespace assay::data {

// The source of every decision of a generated document, a function of the stream. All probabilities pass through `choose`, as
// whole-number weights, so that the probability of a document is the product of exact fractions.
class Choices {
 public:
  explicit Choices(core::Stream stream) : stream_(stream) {}

  // Index i with probability weights[i] / (sum of weights), exactly. At least one weight is not zero.
  size_t choose(std::span<const uint16_t> weights) {
    uint32_t total = 0;
    for (const uint16_t w : weights) total += w;
    uint32_t rest = below(total);
    size_t i = 0;
    for (; rest >= weights[i]; ++i) rest -= weights[i];
    return i;
  }

 private:
  // Uniform on [0, total): the high half of a 32-bit draw times `total`, where the draws that would make some results more frequent
  // than others are drawn again (Lemire, "Fast random integer generation in an interval", 2019).
  uint32_t below(uint32_t total) {
    const uint32_t excess = (0U - total) % total;  // 2^32 mod total
    uint64_t product = uint64_t{draw()} * total;
    while (static_cast<uint32_t>(product) < excess) product = uint64_t{draw()} * total;
    return static_cast<uint32_t>(product >> 32);
  }

  uint32_t draw() {
    if (used_ == block_.size()) {
      block_ = stream_.block(next_++);
      used_ = 0;
    }
    return block_[used_++];
  }

  core::Stream stream_;
  std::array<uint32_t, 4> block_{};
  size_t used_ = 4;
  uint64_t next_ = 0;
};

}  // namespace assay::data
