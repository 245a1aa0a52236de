#pragma once
#include <array>
#include <cstdint>
#include <string_view>

namespace assay::core {

// Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): a keyed bijection of counters.
std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// A stream of random numbers that is a function, not a state: value i of (seed, stream, step) is always the same.
// `name` separates uses ("init/hops.0.interaction.U", "order", "dropout", "sample"), so that a new component never shifts
// another one's numbers. The key is a 64-bit hash of (seed, name); the counter holds (index, step).
class Stream {
 public:
  Stream(uint64_t seed, std::string_view name, uint64_t step = 0);
  std::array<uint32_t, 4> block(uint64_t index) const;
  uint32_t bits(uint64_t index) const;               // 32 random bits
  double uniform(uint64_t index) const;              // in (0, 1): the odd multiples of 2^-53
  double normal(uint64_t index) const;               // Box-Muller, in double
  uint64_t below(uint64_t index, uint64_t n) const;  // uniform in [0, n), bias < 2^-64 n

 private:
  std::array<uint32_t, 2> key_;
  uint64_t step_;
};

// A permutation of [0, n) with random access in O(1) memory: a Feistel network of eight rounds (four for each half) over the next power
// of four with cycle walking, keyed by the stream. The same on every machine; position i of epoch e is `Permutation(n, seed, name, e)(i)`.
class Permutation {
 public:
  Permutation(uint64_t n, uint64_t seed, std::string_view name, uint64_t epoch);
  uint64_t operator()(uint64_t i) const;  // ConfigError where i >= n

 private:
  uint64_t shuffled(uint64_t x) const;
  uint64_t n_;
  int half_bits_;
  Stream stream_;
};

}  // namespace assay::core
