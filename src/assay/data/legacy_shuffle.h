#pragma once
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

namespace assay::data {

// The shuffle of NumPy's legacy generator (RandomState), which the published task files were made with: Fisher-Yates from the end, each
// index by masked rejection of a Mersenne twister's words.
class LegacyShuffle {
 public:
  explicit LegacyShuffle(uint32_t seed) : words_(seed) {}

  template <class T>
  void operator()(std::vector<T>& items) {
    for (size_t i = items.size(); i-- > 1;) std::swap(items[i], items[at_most(static_cast<uint32_t>(i))]);
  }

 private:
  uint32_t at_most(uint32_t most) {
    uint32_t mask = most;
    for (int shift = 1; shift < 32; shift *= 2) mask |= mask >> shift;
    for (;;) {
      const auto word = static_cast<uint32_t>(words_()) & mask;
      if (word <= most) return word;
    }
  }

  std::mt19937 words_;
};

}  // namespace assay::data
