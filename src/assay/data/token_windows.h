#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "assay/data/shards.h"

namespace assay::data {

inline uint64_t mix_bits(uint64_t x) {  // a bijection (the finaliser of splitmix64)
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

// All windows of `length` tokens of a source that hold no `bos`, with a polynomial hash that is rolled from one to the next.
class TokenWindows {
 public:
  TokenWindows(uint64_t length, int64_t bos) : length_(length), bos_(bos), values_(65536) {
    for (uint64_t id = 0; id < values_.size(); ++id) values_[id] = mix_bits(id + 1);
    for (uint64_t i = 0; i < length; ++i) power_ *= kBase;
  }

  uint64_t length() const { return length_; }

  // f(first token, hash, the tokens) for each window in order; tick(tokens read since the last call) now and then.
  template <class F, class T>
  void for_each(const TokenSource& source, F f, T tick) const {
    std::vector<uint16_t> buffer;
    uint64_t hash = 0, run = 0, kept = 0;
    for (uint64_t at = 0; at < source.size();) {
      const uint64_t fresh = std::min(kChunk, source.size() - at);
      buffer.resize(kept + fresh);
      source.read(at, fresh, buffer.data() + kept);
      for (uint64_t i = kept; i < buffer.size(); ++i) {
        if (buffer[i] == bos_) {
          hash = run = 0;
          continue;
        }
        hash = hash * kBase + values_[buffer[i]];
        if (++run > length_) hash -= values_[buffer[i - length_]] * power_;
        if (run >= length_) f(at + (i - kept) + 1 - length_, mix_bits(hash), buffer.data() + (i + 1 - length_));
      }
      at += fresh;
      const uint64_t keep = std::min<uint64_t>(length_, buffer.size());
      std::memmove(buffer.data(), buffer.data() + (buffer.size() - keep), keep * sizeof(uint16_t));
      kept = keep;
      tick(fresh);
    }
  }

 private:
  static constexpr uint64_t kChunk = uint64_t{1} << 20, kBase = 0x9E3779B97F4A7C15u;
  uint64_t length_, power_ = 1;
  int64_t bos_;
  std::vector<uint64_t> values_;
};

// The different windows of a text in memory, by content: each is known by the place where it stands first, and can be marked.
class WindowIndex {
 public:
  static constexpr uint64_t kNone = UINT64_MAX;

  WindowIndex(const std::vector<uint16_t>& tokens, uint64_t length, uint64_t windows) : tokens_(tokens), length_(length) {
    uint64_t capacity = 1024;
    while (capacity < 2 * windows) capacity *= 2;
    slots_.assign(capacity, Slot{});
    marked_.assign(capacity, false);
  }

  // False where there is no room.
  bool insert(uint64_t hash, uint64_t at) {
    const uint64_t slot = probe(hash, tokens_.data() + at);
    if (slots_[slot].place != kEmpty) return true;
    if (used_ + 1 == slots_.size()) return false;
    ++used_;
    slots_[slot] = {static_cast<uint32_t>(hash >> 32), static_cast<uint32_t>(at)};
    return true;
  }

  // The slot of an equal window, or kNone.
  uint64_t find(uint64_t hash, const uint16_t* window) const {
    const uint64_t slot = probe(hash, window);
    return slots_[slot].place == kEmpty ? kNone : slot;
  }

  uint64_t place(uint64_t slot) const { return slots_[slot].place; }
  void mark(uint64_t slot) { marked_[slot] = true; }
  bool marked(uint64_t slot) const { return marked_[slot]; }

 private:
  static constexpr uint32_t kEmpty = UINT32_MAX;
  struct Slot {
    uint32_t tag = 0, place = kEmpty;
  };

  uint64_t probe(uint64_t hash, const uint16_t* window) const {
    const uint64_t mask = slots_.size() - 1;
    const auto tag = static_cast<uint32_t>(hash >> 32);
    uint64_t slot = hash & mask;
    for (; slots_[slot].place != kEmpty; slot = (slot + 1) & mask) {
      if (slots_[slot].tag != tag) continue;
      if (std::memcmp(tokens_.data() + slots_[slot].place, window, length_ * sizeof(uint16_t)) == 0) break;
    }
    return slot;
  }

  const std::vector<uint16_t>& tokens_;
  uint64_t length_, used_ = 0;
  std::vector<Slot> slots_;
  std::vector<bool> marked_;
};

}  // namespace assay::data
