#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "assay/data/shards.h"

namespace assay::data {

// Rows of token ids and the ids that follow them, row-major [rows, seq_len].
struct Rows {
  int64_t rows = 0, seq_len = 0;
  std::vector<int64_t> inputs, targets;
};

// Which tokens batch n holds is a function of n: no state, so that a run resumes from one integer and two arms with one seed see the
// same rows whatever else differs.
//   shuffled    row g (= n * rows + r) is window Permutation(epoch g / W)(g mod W) of W = floor((size-1)/seq_len) windows
//               [w * seq_len, w * seq_len + seq_len], a new permutation each epoch
//   sequential  the reference's stream (vocab-space 8.2): batch n takes the next rows*seq_len+1 tokens of the endless
//               concatenation (wrapping); row r continues row r-1
//   blocks      the reference's samples (components 0.4): batch n is permuted sample of rows*seq_len+1 tokens
// DataError where the source has no full window.
class Loader {
 public:
  enum class Order { shuffled, sequential, blocks };
  Loader(const TokenSource& source, int64_t rows, int64_t seq_len, Order order, uint64_t seed);
  Rows batch(int64_t n) const;
  int64_t windows() const;  // per epoch: rows (shuffled), batches (blocks), 0 (sequential)

 private:
  const TokenSource& source_;
  int64_t rows_, seq_len_;
  Order order_;
  uint64_t seed_;
};
Loader::Order order_from(std::string_view name);  // ConfigError with the nearest name

// Validation rows (vocab-space 6): window j has inputs [jL, (j+1)L) and targets shifted by one, j < floor((size-1)/L).
int64_t validation_windows(const TokenSource& source, int64_t seq_len);
Rows validation_rows(const TokenSource& source, int64_t seq_len, int64_t first, int64_t count);
// One row with the targets that no full window holds, none where the last one ends with the source.
Rows last_validation_row(const TokenSource& source, int64_t seq_len);

}  // namespace assay::data
