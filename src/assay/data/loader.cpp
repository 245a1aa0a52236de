#include "assay/data/loader.h"

#include <algorithm>

#include "assay/core/error.h"
#include "assay/core/options.h"
#include "assay/core/random.h"

namespace assay::data {
namespace {

constexpr std::string_view kOrderStream = "order";

// How many windows of `length` inputs, each with one more token for its last target, a source of `size` tokens has.
uint64_t count_windows(uint64_t size, uint64_t length) { return size == 0 ? 0 : (size - 1) / length; }

// The window that is `position`-th when epochs of `windows` windows are each put in an order of their own.
uint64_t permuted(uint64_t position, uint64_t windows, uint64_t seed) {
  return core::Permutation(windows, seed, kOrderStream, position / windows)(position % windows);
}

// `n` tokens of the endless repetition of the source.
void read_wrapping(const TokenSource& source, uint64_t offset, uint64_t n, uint16_t* out) {
  offset %= source.size();
  while (n > 0) {
    const uint64_t here = std::min(n, source.size() - offset);
    source.read(offset, here, out);
    out += here;
    n -= here;
    offset = 0;
  }
}

// Appends the rows that a run of rows * seq_len + 1 tokens holds.
void append(Rows& to, const std::vector<uint16_t>& tokens) {
  to.inputs.insert(to.inputs.end(), tokens.begin(), tokens.end() - 1);
  to.targets.insert(to.targets.end(), tokens.begin() + 1, tokens.end());
}

Rows empty_rows(int64_t rows, int64_t seq_len) {
  Rows out;
  out.rows = rows;
  out.seq_len = seq_len;
  out.inputs.reserve(static_cast<size_t>(rows * seq_len));
  out.targets.reserve(static_cast<size_t>(rows * seq_len));
  return out;
}

void check_shape(int64_t rows, int64_t seq_len) {
  constexpr int64_t limit = int64_t{1} << 31;
  if (rows < 1 || seq_len < 1 || rows > limit / seq_len) {
    throw core::ConfigError("loader", "a batch of " + std::to_string(rows) + " rows of " + std::to_string(seq_len) +
                                          " tokens: wanted at least 1 of each and at most 2^31 tokens");
  }
}

}  // namespace

Loader::Loader(const TokenSource& source, int64_t rows, int64_t seq_len, Order order, uint64_t seed)
    : source_(source), rows_(rows), seq_len_(seq_len), order_(order), seed_(seed) {
  check_shape(rows, seq_len);
  const uint64_t window = static_cast<uint64_t>(order == Order::blocks ? rows * seq_len : seq_len);
  if (count_windows(source.size(), window) == 0) {
    throw core::DataError(
        "loader", "a window needs " + std::to_string(window + 1) + " tokens, the training data holds " + std::to_string(source.size()));
  }
}

int64_t Loader::windows() const {
  if (order_ == Order::sequential) return 0;
  const int64_t length = order_ == Order::blocks ? rows_ * seq_len_ : seq_len_;
  return static_cast<int64_t>(count_windows(source_.size(), static_cast<uint64_t>(length)));
}

Rows Loader::batch(int64_t n) const {
  Rows out = empty_rows(rows_, seq_len_);
  const uint64_t batch = static_cast<uint64_t>(n), all = static_cast<uint64_t>(rows_ * seq_len_), length = static_cast<uint64_t>(seq_len_);
  const uint64_t total = static_cast<uint64_t>(windows());
  std::vector<uint16_t> tokens(order_ == Order::shuffled ? length + 1 : all + 1);
  switch (order_) {
    case Order::shuffled:
      for (uint64_t r = 0; r < static_cast<uint64_t>(rows_); ++r) {
        const uint64_t window = permuted(batch * static_cast<uint64_t>(rows_) + r, total, seed_);
        source_.read(window * length, tokens.size(), tokens.data());
        append(out, tokens);
      }
      break;
    case Order::sequential:
      // The modulus comes first: batch * tokens.size() may not fit for a batch number that does.
      read_wrapping(source_, (batch % source_.size()) * tokens.size(), tokens.size(), tokens.data());
      append(out, tokens);
      break;
    case Order::blocks:
      source_.read(permuted(batch, total, seed_) * all, tokens.size(), tokens.data());
      append(out, tokens);
      break;
  }
  return out;
}

Loader::Order order_from(std::string_view name) {
  if (name == "shuffled") return Loader::Order::shuffled;
  if (name == "sequential") return Loader::Order::sequential;
  if (name == "blocks") return Loader::Order::blocks;
  throw core::ConfigError("loader", core::unknown_name("order", name, {"shuffled", "sequential", "blocks"}));
}

int64_t validation_windows(const TokenSource& source, int64_t seq_len) {
  check_shape(1, seq_len);
  return static_cast<int64_t>(count_windows(source.size(), static_cast<uint64_t>(seq_len)));
}

Rows validation_rows(const TokenSource& source, int64_t seq_len, int64_t first, int64_t count) {
  check_shape(count, seq_len);
  Rows out = empty_rows(count, seq_len);
  std::vector<uint16_t> tokens(static_cast<size_t>(count * seq_len + 1));
  source.read(static_cast<uint64_t>(first * seq_len), tokens.size(), tokens.data());
  append(out, tokens);
  return out;
}

Rows last_validation_row(const TokenSource& source, int64_t seq_len) {
  const auto done = static_cast<uint64_t>(validation_windows(source, seq_len) * seq_len);
  if (done + 1 >= source.size()) return {};
  std::vector<uint16_t> tokens(source.size() - done);
  source.read(done, tokens.size(), tokens.data());
  Rows out = empty_rows(1, static_cast<int64_t>(tokens.size()) - 1);
  append(out, tokens);
  return out;
}

}  // namespace assay::data
