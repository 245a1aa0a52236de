#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "assay/core/error.h"
#include "assay/data/corpus.h"
#include "assay/data/tasks.h"

using namespace assay;

namespace {

data::Task task(const std::string& name) {
  const auto found = data::find_task(name);
  REQUIRE_MESSAGE(found.has_value(), name);
  return *found;
}

using Row = std::vector<uint16_t>;

// Every example of a split once, or the first `count`.
std::vector<Row> rows(const data::Task& t, const std::string& split, uint64_t count = 0) {
  const uint64_t n = count > 0 ? count : data::task_examples(t, split);
  const Row tokens = data::task_tokens(t, 1, split, n * static_cast<uint64_t>(t.row));
  std::vector<Row> out;
  for (auto at = tokens.begin(); at != tokens.end(); at += t.row) out.emplace_back(at, at + t.row);
  return out;
}

// CRC-32 of the tokens as little-endian uint16.
uint32_t crc(const std::vector<Row>& all) {
  uint32_t c = 0xFFFFFFFF;
  const auto add = [&](uint32_t byte) {
    c ^= byte;
    for (int bit = 0; bit < 8; ++bit) c = (c & 1) != 0 ? c >> 1 ^ 0xEDB88320 : c >> 1;
  };
  for (const Row& row : all)
    for (const uint16_t token : row) {
      add(token & 0xFF);
      add(token >> 8);
    }
  return ~c;
}

}  // namespace

TEST_CASE("the published task files are reproduced byte for byte") {
  struct File {
    const char* name;
    uint32_t train, val;
  };
  for (const File& f :
       {File{"add97", 0xd0da63bc, 0x96c1e031}, File{"sub97", 0x6f10d8a9, 0x1c82b852}, File{"mul97", 0xd314a4bb, 0x30f4f23c},
        File{"squares97", 0xa3a1da30, 0x37bc8bb9}, File{"parity8", 0xa8e651ff, 0x6ccd79f2}, File{"copy8", 0x8252223f, 0x2c1e5964},
        File{"reverse8", 0x45c296d9, 0x2c98fe98}, File{"majority9", 0xd27c6fae, 0xc218fb03}}) {
    INFO(f.name);
    CHECK(crc(rows(task(f.name), "train")) == f.train);
    CHECK(crc(rows(task(f.name), "val")) == f.val);
  }
  CHECK(data::task_examples(task("add97"), "train") == 4704);
  CHECK(data::task_examples(task("add97"), "val") == 4705);
}

TEST_CASE("the splits by unordered pairs have no equation or mirror image in common; the published one has") {
  for (const char* name : {"add97", "add97-unordered", "mul97-unordered", "arithmetic97"}) {
    INFO(name);
    std::set<std::pair<uint16_t, uint16_t>> seen;
    for (const Row& r : rows(task(name), "train")) seen.emplace(std::min(r[1], r[3]), std::max(r[1], r[3]));
    int64_t mirrored = 0;
    for (const Row& r : rows(task(name), "val")) mirrored += seen.count({std::min(r[1], r[3]), std::max(r[1], r[3])}) != 0 ? 1 : 0;
    CHECK((mirrored == 0) == (std::string(name) != "add97"));
  }
  std::set<uint16_t> symbols;
  for (const Row& r : rows(task("arithmetic97"), "train")) symbols.insert(r[2]);
  CHECK(symbols == std::set<uint16_t>{97, 101, 102, 103});
}

TEST_CASE("drawn tasks: a copy repeats, lengths of the splits do not meet, every asked key was told") {
  for (const char* split : {"train", "val"}) {
    for (const Row& r : rows(task("copy-string"), split, 50)) CHECK(std::equal(r.begin() + 1, r.begin() + 17, r.begin() + 18));
    for (const Row& r : rows(task("copy-length"), split, 50)) {
      const auto bos = std::find(r.begin(), r.end(), 99), separator = std::find(bos, r.end(), 97);
      const auto length = separator - bos - 1;
      CHECK(separator - r.begin() == 17);
      CHECK((length <= 8) == (std::string(split) == "train"));
      CHECK(length >= 1);
      CHECK(length <= 16);
      CHECK(std::equal(bos + 1, separator, separator + 1));
      CHECK(*(separator + 1 + length) == 100);
    }
    for (const Row& r : rows(task("recall"), split, 50)) {
      std::map<uint16_t, uint16_t> told;
      for (size_t i = 1; i < 17; i += 2) told[r[i]] = r[i + 1];
      CHECK(told.size() == 8);
      for (size_t i = 18; i < 34; i += 2) CHECK(told.at(r[i]) == r[i + 1]);
    }
  }
  CHECK(rows(task("recall"), "train", 20) != rows(task("recall"), "val", 20));
}

TEST_CASE("every task is a corpus: its vocabulary, whole examples, the answer inside of the row") {
  for (const data::Task& t : data::tasks()) {
    INFO(std::string(t.name));
    data::DataConfig config;
    config.path = t.name;
    config.corpus_tokens = 50000;
    config.corpus_val_tokens = 2000;
    const data::Corpus corpus = data::open_corpus(config);
    CHECK(corpus.vocab_size == t.vocab);
    CHECK(corpus.train->size() == 50000);
    CHECK(corpus.val->size() % static_cast<uint64_t>(t.row) == 1);
    CHECK(t.first >= 0);
    CHECK(t.last + 1 < t.row);
    CHECK(t.oracle_nats < t.chance_nats);
    config.vocab_size = 50;
    CHECK_THROWS_AS(data::open_corpus(config), core::ConfigError);
  }
}

TEST_CASE("chance is the accuracy of one who says the most frequent answer that fits the form") {
  for (const char* name : {"add97", "sub97", "mul97", "squares97", "add97-unordered", "mul97-unordered", "arithmetic97", "parity8",
                           "majority9", "copy8", "reverse8-marked"}) {
    INFO(name);
    const data::Task t = task(name);
    std::map<std::pair<uint16_t, int64_t>, std::map<uint16_t, int64_t>> seen;  // by the symbol at 2 (the operator) and the position
    int64_t all = 0;
    for (const char* split : {"train", "val"})
      for (const Row& row : rows(t, split))
        for (int64_t i = t.first; i <= t.last; ++i, ++all) ++seen[{t.row == 8 ? row[2] : uint16_t{0}, i}][row[static_cast<size_t>(i) + 1]];
    int64_t hits = 0;
    for (const auto& [place, counts] : seen)
      hits += std::max_element(counts.begin(), counts.end(), [](const auto& a, const auto& b) { return a.second < b.second; })->second;
    CHECK(static_cast<double>(hits) / static_cast<double>(all) == doctest::Approx(t.chance_accuracy).epsilon(1e-9));
    CHECK(t.oracle_accuracy == 1);
  }
}

TEST_CASE("chance and oracle of drawn tasks are what guesses and rules get on examples") {
  constexpr uint64_t kRows = 3000;
  const auto share = [](int64_t hits, int64_t all) { return static_cast<double>(hits) / static_cast<double>(all); };
  const data::Task recall = task("recall");
  int64_t keys = 0, values = 0, all = 0;
  for (const Row& row : rows(recall, "val", kRows)) {
    std::set<uint16_t> left;
    for (size_t i = 1; i < 17; i += 2) left.insert(row[i]);
    for (size_t i = 18; i < 34; i += 2, all += 2) {
      keys += *left.begin() == row[i] ? 1 : 0;
      values += row[i + 1] == 32 ? 1 : 0;
      left.erase(row[i]);
    }
  }
  CHECK(share(keys + values, all) == doctest::Approx(recall.chance_accuracy).epsilon(0.02));
  CHECK(share(keys + all / 2, all) == doctest::Approx(recall.oracle_accuracy).epsilon(0.01));

  const data::Task lengths = task("copy-length");
  int64_t bits = 0, ends = 0;
  all = 0;
  for (const Row& row : rows(lengths, "val", kRows))
    for (int64_t i = lengths.first; i <= lengths.last; ++i, ++all) {
      const uint16_t next = row[static_cast<size_t>(i) + 1];
      if (next <= 1) bits += next == 0 ? 1 : 0;
      else ++ends;
    }
  CHECK(share(bits + ends, all) == doctest::Approx(lengths.chance_accuracy).epsilon(0.02));
}
