#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "assay/core/error.h"
#include "assay/data/loader.h"
#include "data/files.h"

using namespace assay;
using namespace assay::test;
using data::Loader;
using data::Rows;

namespace {

bool same(const Rows& a, const Rows& b) {
  return a.inputs == b.inputs && a.targets == b.targets && a.rows == b.rows && a.seq_len == b.seq_len;
}

// Row r of a batch as seq_len inputs and the last target: the tokens it was cut from.
std::vector<int64_t> row(const Rows& b, int64_t r) {
  const auto from = static_cast<std::ptrdiff_t>(r * b.seq_len), to = from + static_cast<std::ptrdiff_t>(b.seq_len);
  std::vector<int64_t> out(b.inputs.begin() + from, b.inputs.begin() + to);
  out.push_back(b.targets[static_cast<size_t>(to - 1)]);
  for (std::ptrdiff_t i = from; i < to; ++i) CHECK(b.targets[static_cast<size_t>(i)] == out[static_cast<size_t>(i - from + 1)]);
  return out;
}

std::vector<int64_t> consecutive(int64_t first, int64_t n) {
  std::vector<int64_t> out;
  for (int64_t i = 0; i < n; ++i) out.push_back(first + i);
  return out;
}

}  // namespace

TEST_CASE("shuffled: each window comes once an epoch, whole, and epochs differ") {
  const auto source = data::tokens_in_memory(counting(103));
  const Loader loader(*source, 4, 6, Loader::Order::shuffled, 7);  // 17 windows, so that epochs end inside of batches
  REQUIRE(loader.windows() == 17);
  std::vector<int64_t> starts;
  for (int64_t n = 0; n < 17; ++n) {  // four epochs
    const Rows b = loader.batch(n);
    for (int64_t r = 0; r < 4; ++r) {
      const auto tokens = row(b, r);
      CHECK(tokens == consecutive(tokens[0], 7));
      CHECK(tokens[0] % 6 == 0);
      starts.push_back(tokens[0]);
    }
  }
  std::set<std::vector<int64_t>> orders;
  for (size_t epoch = 0; epoch < 4; ++epoch) {
    std::vector<int64_t> order(starts.begin() + static_cast<std::ptrdiff_t>(17 * epoch),
                               starts.begin() + static_cast<std::ptrdiff_t>(17 * epoch + 17));
    orders.insert(order);
    std::sort(order.begin(), order.end());
    for (size_t w = 0; w < 17; ++w) CHECK(order[w] == static_cast<int64_t>(6 * w));
  }
  CHECK(orders.size() == 4);
}

TEST_CASE("shuffled: seeds give different orders and one seed always the same") {
  const auto source = data::tokens_in_memory(counting(1001));
  const Loader a(*source, 8, 10, Loader::Order::shuffled, 1), b(*source, 8, 10, Loader::Order::shuffled, 2),
      c(*source, 8, 10, Loader::Order::shuffled, 1);
  CHECK_FALSE(same(a.batch(0), b.batch(0)));
  CHECK(same(a.batch(5), c.batch(5)));
}

TEST_CASE("shuffled: the rows do not depend on how many of them make a batch") {
  const auto source = data::tokens_in_memory(counting(500));
  const Loader four(*source, 4, 9, Loader::Order::shuffled, 3), one(*source, 1, 9, Loader::Order::shuffled, 3);
  for (int64_t g = 0; g < 120; ++g) CHECK(row(four.batch(g / 4), g % 4) == row(one.batch(g), 0));
}

TEST_CASE("sequential: batches are the endless concatenation, wrapping, row after row") {
  for (const size_t size : {7, 8, 12, 13, 14, 100}) {  // 13 tokens make a batch: one token short, exact, one more
    const auto source = data::tokens_in_memory(counting(size));
    const Loader loader(*source, 2, 6, Loader::Order::sequential, 1);
    for (int64_t n = 0; n < 40; ++n) {
      const Rows b = loader.batch(n);
      for (int64_t i = 0; i < 12; ++i) {
        const auto at = static_cast<size_t>(i);
        CHECK(b.inputs[at] == (n * 13 + i) % static_cast<int64_t>(size));
        CHECK(b.targets[at] == (n * 13 + i + 1) % static_cast<int64_t>(size));
      }
    }
  }
}

TEST_CASE("sequential: a batch number beyond all products is still exact") {
  const auto source = data::tokens_in_memory(counting(97));
  const Loader loader(*source, 3, 5, Loader::Order::sequential, 1);
  CHECK(same(loader.batch(INT64_MAX - INT64_MAX % 97 - 97), loader.batch(0)));
}

TEST_CASE("sequential: a batch that spans shards equals the concatenation, also over single-token shards") {
  const Scratch scratch;
  std::vector<std::string> paths;
  uint16_t next = 0;
  for (const size_t n : {5, 1, 9, 1, 1, 20}) {
    paths.push_back(scratch / std::to_string(next));
    write_tokens(paths.back(), counting(n, next));
    next = static_cast<uint16_t>(next + n);
  }
  const auto shards = data::open_shards(paths, 100);
  const auto whole = data::tokens_in_memory(counting(next));
  for (const auto order : {Loader::Order::sequential, Loader::Order::shuffled, Loader::Order::blocks}) {
    const Loader a(*shards, 2, 4, order, 5), b(*whole, 2, 4, order, 5);
    for (int64_t n = 0; n < 30; ++n) CHECK(same(a.batch(n), b.batch(n)));
  }
}

TEST_CASE("blocks: batches are permuted samples of consecutive rows") {
  const auto source = data::tokens_in_memory(counting(121));
  const Loader loader(*source, 3, 4, Loader::Order::blocks, 11);
  REQUIRE(loader.windows() == 10);
  std::set<int64_t> starts;
  for (int64_t n = 0; n < 10; ++n) {
    const Rows b = loader.batch(n);
    CHECK(b.inputs == consecutive(b.inputs[0], 12));
    CHECK(b.targets == consecutive(b.inputs[0] + 1, 12));
    CHECK(b.inputs[0] % 12 == 0);
    starts.insert(b.inputs[0]);
  }
  CHECK(starts.size() == 10);
  bool differs = false;
  for (int64_t n = 0; n < 10; ++n) differs = differs || !same(loader.batch(n), loader.batch(n + 10));
  CHECK(differs);
}

TEST_CASE("a resumed run reads what the undisturbed one read, from every batch on") {
  const auto source = data::tokens_in_memory(counting(777));
  for (const auto order : {Loader::Order::sequential, Loader::Order::shuffled, Loader::Order::blocks}) {
    const Loader first(*source, 3, 7, order, 42);
    std::vector<Rows> all;
    for (int64_t n = 0; n < 60; ++n) all.push_back(first.batch(n));
    for (int64_t from = 0; from < 60; from += 7) {
      const Loader resumed(*source, 3, 7, order, 42);
      for (int64_t n = from; n < 60; ++n) CHECK(same(resumed.batch(n), all[static_cast<size_t>(n)]));
    }
  }
}

TEST_CASE("a source one token short of a window is refused, one that is exact is not") {
  const auto refusal = [](size_t tokens, Loader::Order order) {
    const auto source = data::tokens_in_memory(counting(tokens));
    return test::refusal<core::DataError>([&] { Loader(*source, 3, 5, order, 1); });
  };
  CHECK(contains(refusal(5, Loader::Order::shuffled), "needs 6 tokens, the training data holds 5"));
  CHECK(refusal(6, Loader::Order::shuffled).empty());
  CHECK(contains(refusal(5, Loader::Order::sequential), "needs 6 tokens"));
  CHECK(refusal(6, Loader::Order::sequential).empty());
  CHECK(contains(refusal(15, Loader::Order::blocks), "needs 16 tokens"));
  CHECK(refusal(16, Loader::Order::blocks).empty());
  CHECK(contains(refusal(0, Loader::Order::shuffled), "holds 0"));
}

TEST_CASE("shapes of batches that cannot be are refused") {
  const auto source = data::tokens_in_memory(counting(50));
  for (const auto& [rows, length] : {std::pair<int64_t, int64_t>{0, 5}, {5, 0}, {-1, 5}, {int64_t{1} << 40, int64_t{1} << 40}}) {
    CHECK_THROWS_AS(Loader(*source, rows, length, Loader::Order::shuffled, 1), core::ConfigError);
  }
}

TEST_CASE("orders are found by name, and the nearest one is offered") {
  CHECK(data::order_from("shuffled") == Loader::Order::shuffled);
  CHECK(data::order_from("sequential") == Loader::Order::sequential);
  CHECK(data::order_from("blocks") == Loader::Order::blocks);
  CHECK(contains(refusal<core::ConfigError>([] { data::order_from("shufled"); }), "did you mean 'shuffled'"));
}

TEST_CASE("validation rows are the windows in order, and the tail is dropped") {
  for (const auto& [size, windows] : {std::pair<size_t, int64_t>{0, 0}, {1, 0}, {10, 0}, {11, 1}, {20, 1}, {21, 2}, {35, 3}}) {
    const auto source = data::tokens_in_memory(counting(size));
    CHECK(data::validation_windows(*source, 10) == windows);
  }
  const auto source = data::tokens_in_memory(counting(35));
  const Rows rows = data::validation_rows(*source, 10, 1, 2);
  CHECK(rows.inputs == consecutive(10, 20));
  CHECK(rows.targets == consecutive(11, 20));
  CHECK_THROWS_AS(data::validation_rows(*source, 10, 2, 2), core::DataError);
}
