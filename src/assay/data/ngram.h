#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "assay/data/shards.h"

namespace assay::data {

// An n-gram model with exact counts and interpolated modified Kneser-Ney smoothing (Chen and Goodman, "An empirical study of smoothing
// techniques for language modeling", TR-10-98, section 3): what a model with a context of n - 1 tokens can be expected to reach.
//
// With h a context of k - 1 tokens and h' the same without its first:
//   p_k(w | h) = (max(c(h w) - D(c(h w)), 0) + gamma(h) p_{k-1}(w | h')) / sum_u c(h u),
//   gamma(h) = D_1 N_1(h) + D_2 N_2(h) + D_3 N_3+(h), N_j(h) = how many u have c(h u) = j, D(j) = D_min(j, 3),
// p_k = p_{k-1} where h was never seen, and p_0 = 1 / vocabulary. At the highest order c counts occurrences, below it the different
// tokens that were seen to the left of the k-gram; the beginning of a row counts as one more such token. From n_j, the number of k-grams
// of count j: Y = n_1 / (n_1 + 2 n_2), D_1 = 1 - 2 Y n_2 / n_1, D_2 = 2 - 3 Y n_3 / n_2, D_3 = 3 - 4 Y n_4 / n_3. Where some n_j of
// the first three is 0 or a discount is negative, all three are Y (absolute discounting), or 1/2 where Y is not defined either.
class NGram {
 public:
  // ConfigError unless 1 <= order <= 16 and 1 <= vocab <= 65536.
  NGram(int order, int64_t vocab);

  // Counts every n-gram that ends at the second token of the row or later; contexts do not reach beyond the row. DataError for an id
  // outside the vocabulary.
  void add(std::span<const uint16_t> row);
  void add(const TokenSource& source);  // as one row

  double probability(std::span<const uint16_t> context, uint16_t token);  // the last order - 1 tokens of the context count
  // -log p of each token but the first, everything before it being its context: size() - 1 values.
  std::vector<double> nats(const TokenSource& source);
  double mean_nats(const TokenSource& source);

 private:
  struct Node {  // an n-gram; as a context, the sums over what follows it
    uint32_t parent = 0, count = 0, left = 0, total = 0;
    std::array<uint32_t, 3> of_count{};  // different continuations of count 1, 2, 3 and more
    uint8_t length = 0;
    bool at_start = false;
  };
  using Path = std::vector<uint32_t>;  // nodes of the last 0, 1, 2, ... tokens

  void check(uint16_t token) const;
  uint32_t find(uint32_t node, uint16_t token) const;  // 0: none
  uint32_t child(uint32_t node, uint16_t token, bool& fresh);
  uint32_t effective(const Node& n) const { return n.length == order_ ? n.count : n.left; }
  void count(Path& path, uint16_t token, bool target);
  void follow(Path& path, uint16_t token) const;
  double probability(const Path& path, uint16_t token) const;
  void refresh();
  std::array<double, 3> discounts(const std::array<uint64_t, 5>& n) const;

  int order_;
  int64_t vocab_;
  std::vector<Node> nodes_;                          // 0: the empty one
  std::unordered_map<uint64_t, uint32_t> children_;  // node << 16 | token
  std::vector<std::array<double, 3>> discounts_;     // by length
  bool stale_ = false;
};

}  // namespace assay::data
