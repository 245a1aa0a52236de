#include <doctest/doctest.h>

#include <algorithm>

#include "assay/core/error.h"
#include "assay/core/random.h"
#include "assay/data/overlap.h"
#include "data/files.h"

using namespace assay;
using namespace assay::test;
using data::Overlap;
using Tokens = std::vector<uint16_t>;

namespace {

constexpr uint16_t kBos = 1;

// Random tokens from 10 to 59999 with a bos every `document` tokens.
Tokens noise(uint64_t seed, size_t n, size_t document = 1000) {
  const core::Stream stream(seed, "test/noise");
  Tokens out(n);
  for (size_t i = 0; i < n; ++i) out[i] = i % document == 0 ? kBos : static_cast<uint16_t>(10 + stream.uniform(i) * 59990);
  return out;
}

void plant(const Tokens& from, size_t at, size_t n, Tokens& to, size_t there) {
  std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(at), n, to.begin() + static_cast<std::ptrdiff_t>(there));
}

Overlap overlap(const Tokens& train, const Tokens& val, uint64_t ngram, uint64_t at_once = 1 << 20) {
  return data::find_overlap(*data::tokens_in_memory(train), *data::tokens_in_memory(val), kBos,
                            {.ngram = ngram, .longest = 10, .windows_at_once = at_once, .progress = {}});
}

std::vector<Tokens> documents_of(const Tokens& tokens) {
  std::vector<Tokens> out(1);
  for (const uint16_t t : tokens) {
    if (t == kBos) out.emplace_back();
    else out.back().push_back(t);
  }
  std::erase(out, Tokens());
  return out;
}

bool holds(const Tokens& text, const uint16_t* part, size_t n) {
  return std::search(text.begin(), text.end(), part, part + n) != text.end();
}

// By definition, comparing everything with everything.
uint64_t shared_by_definition(const Tokens& train, const Tokens& val, size_t n) {
  const std::vector<Tokens> all = documents_of(train);
  uint64_t shared = 0;
  for (const Tokens& document : documents_of(val)) {
    std::vector<bool> covered(document.size(), std::find(all.begin(), all.end(), document) != all.end());
    for (size_t at = 0; at + n <= document.size(); ++at) {
      const bool found = std::any_of(all.begin(), all.end(), [&](const Tokens& t) { return holds(t, document.data() + at, n); });
      if (found) std::fill_n(covered.begin() + static_cast<std::ptrdiff_t>(at), n, true);
    }
    shared += static_cast<uint64_t>(std::count(covered.begin(), covered.end(), true));
  }
  return shared;
}

}  // namespace

TEST_CASE("an n-gram of exactly N tokens is found, one of N - 1 is not") {
  const Tokens val = noise(2, 5000);
  for (const size_t length : {49u, 50u, 51u}) {
    for (const bool val_is_larger : {false, true}) {
      Tokens train = noise(1, val_is_larger ? 4000 : 20000);
      plant(val, 3100, length, train, 2222);
      const Overlap found = overlap(train, val, 50);
      if (length < 50) {
        CHECK(found.val_tokens_shared == 0);
        CHECK(found.longest.empty());
        continue;
      }
      CHECK(found.val_tokens_shared == length);
      CHECK(found.val_documents_shared == 1);
      CHECK(found.val_documents_identical == 0);
      REQUIRE(found.longest.size() == 1);
      const data::SharedText& s = found.longest[0];
      CHECK(s.train == 2222);
      CHECK(s.val == 3100);
      CHECK(s.length == length);
      CHECK_FALSE(s.document);
      CHECK(s.train_document == 2);
      CHECK(s.train_offset == 221);
      CHECK(s.val_document == 3);
      CHECK(s.val_offset == 99);
    }
  }
}

TEST_CASE("unrelated tokens share nothing") {
  const Overlap found = overlap(noise(1, 200000), noise(2, 50000), 4);
  CHECK(found.val_tokens_shared == 0);
  CHECK(found.longest.empty());
  CHECK(found.val_documents == 50);
  CHECK(found.val_tokens == 50000 - 50);
  CHECK(found.train_tokens == 200000 - 200);
}

TEST_CASE("a copied document is found, whatever its length") {
  Tokens train = noise(1, 10000), val = noise(2, 3000);
  for (const uint16_t token : {kBos, uint16_t{70}, uint16_t{71}, uint16_t{72}, kBos}) {
    train.push_back(token);
    val.push_back(token);
  }
  plant(val, 1000, 1000, train, 5000);
  const Overlap found = overlap(train, val, 50);
  CHECK(found.val_documents_identical == 2);
  CHECK(found.val_documents_shared == 2);
  CHECK(found.val_tokens_shared == 999 + 3);
  REQUIRE(found.longest.size() == 2);
  CHECK(found.longest[0].document);
  CHECK(found.longest[0].length == 999);
  CHECK(found.longest[0].train == 5001);
  CHECK(found.longest[0].val == 1001);
  CHECK(found.longest[1].document);
  CHECK(found.longest[1].length == 3);
}

TEST_CASE("no stretch crosses the border of a document") {
  Tokens train = noise(1, 10000), val = noise(2, 5000);
  plant(val, 1970, 60, train, 4970);  // 30 tokens, bos, 29 tokens
  CHECK(overlap(train, val, 50).val_tokens_shared == 0);
  CHECK(overlap(train, val, 30).val_tokens_shared == 30);
  CHECK(overlap(train, val, 29).val_tokens_shared == 59);
}

TEST_CASE("reading in several passes, pieces of a file and either side in memory give the same answer") {
  Tokens train = noise(1, 1'200'000, 5000), val = noise(2, 40000, 5000);
  plant(val, 12001, 300, train, (1 << 20) - 150);  // across the border of what is read at once
  plant(val, 30001, 77, train, 999'001);
  const Overlap once = overlap(train, val, 50), often = overlap(train, val, 50, 1000), turned = overlap(val, train, 50, 7000);
  CHECK(once.val_tokens_shared == 377);
  CHECK(often.val_tokens_shared == 377);
  CHECK(turned.val_tokens_shared == 377);
  for (const Overlap& o : {once, often, turned}) {
    REQUIRE(o.longest.size() == 2);
    CHECK(o.longest[0].length == 300);
    CHECK(o.longest[1].length == 77);
  }
  CHECK(often.longest[0].train == (1 << 20) - 150);
  CHECK(often.longest[0].val == 12001);
  CHECK(turned.longest[0].val == (1 << 20) - 150);
}

TEST_CASE("of few symbols, where everything repeats, the shared tokens are those of the definition") {
  for (const uint64_t seed : {1, 2, 3, 4}) {
    const core::Stream stream(seed, "test/letters");
    Tokens train(700), val(400);
    for (size_t i = 0; i < train.size(); ++i)
      train[i] = static_cast<uint16_t>(stream.uniform(i) * 40 < 1 ? kBos : 10 + stream.uniform(i + 5000) * 3);
    for (size_t i = 0; i < val.size(); ++i)
      val[i] = static_cast<uint16_t>(stream.uniform(i + 10000) * 40 < 1 ? kBos : 10 + stream.uniform(i + 15000) * 3);
    train.front() = val.front() = kBos;
    for (const size_t n : {5u, 7u, 9u}) {
      INFO(seed << " " << n);
      const Overlap found = overlap(train, val, n), turned = overlap(val, train, n, 100);
      const uint64_t shared = shared_by_definition(train, val, n);
      CHECK(shared > 0);
      CHECK(shared < found.val_tokens);
      CHECK(found.val_tokens_shared == shared);
      CHECK(turned.val_tokens_shared == shared_by_definition(val, train, n));
      for (const data::SharedText& s : found.longest) {
        for (uint64_t i = 0; i < s.length; ++i) REQUIRE(train[s.train + i] == val[s.val + i]);
      }
    }
  }
}

TEST_CASE("a text of one symbol ends, with everything shared") {
  const Overlap found = overlap(Tokens(300000, 7), Tokens(20000, 7), 50);
  CHECK(found.val_tokens_shared == 20000);
  REQUIRE(found.longest.size() == 1);
  CHECK(found.longest[0].length == 20000);
}

TEST_CASE("empty sources and n-grams longer than the text share nothing, and no n-gram at all is refused") {
  CHECK(overlap({}, {}, 5).val_documents == 0);
  CHECK(overlap(noise(1, 100), {}, 5).val_tokens_shared == 0);
  CHECK(overlap({}, noise(1, 100), 5).val_tokens_shared == 0);
  CHECK(overlap(noise(1, 100), noise(2, 50), 5000).val_tokens_shared == 0);
  CHECK_THROWS_AS(overlap({}, {}, 0), core::ConfigError);
}
