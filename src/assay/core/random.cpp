#include "assay/core/random.h"

#include <cmath>
#include <numbers>
#include <string>

#include "assay/core/error.h"
#include "assay/core/hash.h"

namespace assay::core {
namespace {

__extension__ using Wide = unsigned __int128;

constexpr int feistel_rounds = 8;

struct Product {
  uint32_t high, low;
};

Product multiply(uint32_t a, uint32_t b) {
  const uint64_t p = uint64_t{a} * b;
  return {static_cast<uint32_t>(p >> 32), static_cast<uint32_t>(p)};
}

uint64_t join(uint32_t low, uint32_t high) { return uint64_t{high} << 32 | low; }

// 52 bits in the middle of their cells: with 53 the largest value would round to 1.
double open_unit(uint64_t bits) { return (static_cast<double>(bits >> 12) + 0.5) * 0x1p-52; }

int half_bits_for(uint64_t n) {
  int half = 0;
  while (half < 32 && uint64_t{1} << (2 * half) < n) {
    ++half;
  }
  return half;
}

}  // namespace

std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const Product p = multiply(0xD2511F53u, counter[0]);
    const Product q = multiply(0xCD9E8D57u, counter[2]);
    counter = {q.high ^ counter[1] ^ key[0], q.low, p.high ^ counter[3] ^ key[1], p.low};
    key[0] += 0x9E3779B9u;  // the golden ratio and sqrt(3) - 1, the paper's Weyl sequence
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

Stream::Stream(uint64_t seed, std::string_view name, uint64_t step) : step_(step) {
  const uint64_t key = hash64(name, seed);
  key_ = {static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)};
}

std::array<uint32_t, 4> Stream::block(uint64_t index) const {
  return philox(
      {static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), static_cast<uint32_t>(step_), static_cast<uint32_t>(step_ >> 32)},
      key_);
}

uint32_t Stream::bits(uint64_t index) const { return block(index)[0]; }

double Stream::uniform(uint64_t index) const {
  const auto b = block(index);
  return open_unit(join(b[0], b[1]));
}

double Stream::normal(uint64_t index) const {
  const auto b = block(index);
  const double radius = std::sqrt(-2 * std::log(open_unit(join(b[0], b[1]))));
  return radius * std::cos(2 * std::numbers::pi * open_unit(join(b[2], b[3])));
}

uint64_t Stream::below(uint64_t index, uint64_t n) const {
  const auto b = block(index);
  return static_cast<uint64_t>(Wide{join(b[0], b[1])} * n >> 64);
}

Permutation::Permutation(uint64_t n, uint64_t seed, std::string_view name, uint64_t epoch)
    : n_(n), half_bits_(half_bits_for(n)), stream_(seed, name, epoch) {}

// The domain holds less than 4 n values, so that a walk takes less than 4 steps on average.
uint64_t Permutation::operator()(uint64_t i) const {
  if (i >= n_) {
    throw ConfigError("random", "position " + std::to_string(i) + " of a permutation of " + std::to_string(n_));
  }
  do {
    i = shuffled(i);
  } while (i >= n_);
  return i;
}

uint64_t Permutation::shuffled(uint64_t x) const {
  const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
  uint64_t left = x >> half_bits_;
  uint64_t right = x & mask;
  for (uint64_t round = 0; round < feistel_rounds; ++round) {
    const uint64_t mixed = left ^ (stream_.bits(round << 32 | right) & mask);
    left = right;
    right = mixed;
  }
  return left << half_bits_ | right;
}

}  // namespace assay::core
