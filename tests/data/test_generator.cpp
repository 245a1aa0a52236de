#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "assay/core/error.h"
#include "assay/data/generator.h"
#include "assay/data/manifest.h"
#include "data/files.h"
#include "data/model_files.h"

using namespace assay;
using namespace assay::test;

TEST_CASE("generated tokens are exactly as many as wanted, bos before each document") {
  const auto bytes = data::byte_tokenizer();
  const data::Tokenized text = data::generate({.seed = 9}, "train", 5000, bytes.get());
  REQUIRE(text.tokens.size() == 5000);
  std::vector<uint16_t> expected;
  for (uint64_t i = 0; expected.size() < 5000; ++i) data::append(expected, data::grammar_document({}, 9, "train", i).text, *bytes);
  expected.resize(5000);
  CHECK(text.tokens == expected);
  CHECK(text.documents == static_cast<uint64_t>(std::count(expected.begin(), expected.end(), 1)));
  auto shorter = expected;
  shorter.resize(1000);
  CHECK(data::generate({.seed = 9}, "train", 1000, bytes.get()).tokens == shorter);
}

TEST_CASE("validation is whole documents, and each piece is a document with the bos that ends it") {
  const Scratch scratch;
  write(scratch / "m.model", small_model());
  for (const std::string& name : {std::string("bytes"), std::string("words"), scratch / "m.model"}) {
    const auto tokenizer = data::open_tokenizer(name);
    const auto bos = static_cast<uint16_t>(tokenizer->bos());
    const data::Validation v = data::generate_validation({.seed = 4}, 3000, tokenizer.get());
    const std::vector<uint16_t>& tokens = v.text.tokens;
    REQUIRE(v.entropy);
    CHECK(tokens.size() >= 3000);
    CHECK(tokens.front() == bos);
    CHECK(tokens.back() == bos);
    CHECK(std::count(tokens.begin(), tokens.end(), bos) == static_cast<std::ptrdiff_t>(v.text.documents) + 1);
    REQUIRE(v.entropy->ends.size() == v.text.documents);
    REQUIRE(v.entropy->nats.size() == v.text.documents);
    CHECK(v.entropy->ends.back() == tokens.size());
    uint64_t begin = 1;
    for (size_t i = 0; i < v.text.documents; ++i) {
      const uint64_t end = v.entropy->ends[i];
      CHECK(tokens[end - 1] == bos);
      const data::GrammarDocument d = data::grammar_document({}, 4, "val", i);
      CHECK(tokenizer->decode({tokens.begin() + static_cast<std::ptrdiff_t>(begin), tokens.begin() + static_cast<std::ptrdiff_t>(end)}) ==
            d.text);
      CHECK(v.entropy->nats[i] == d.nats - std::log(2.0));
      begin = end;
    }
  }
}

TEST_CASE("agreements stand at the tokens of the words that agree") {
  const Scratch scratch;
  write(scratch / "m.model", small_model());
  for (const std::string& name : {std::string("bytes"), std::string("words"), scratch / "m.model"}) {
    const auto tokenizer = data::open_tokenizer(name);
    const data::Validation v = data::generate_validation({}, 2000, tokenizer.get());
    size_t i = 0;
    for (uint64_t n = 0; n < v.text.documents; ++n) {
      const data::GrammarDocument d = data::grammar_document({}, 1, "val", n);
      for (const auto& a : d.agreements) {
        REQUIRE(i < v.entropy->agreements.size());
        const auto& known = v.entropy->agreements[i++];
        CHECK(known.distance == a.distance);
        const std::string said = tokenizer->decode({v.text.tokens.begin() + static_cast<std::ptrdiff_t>(known.first),
                                                    v.text.tokens.begin() + static_cast<std::ptrdiff_t>(known.end)});
        CHECK_MESSAGE(contains(said, d.text.substr(a.first, a.end - a.first)), said);
      }
    }
    CHECK(i == v.entropy->agreements.size());
  }
}

TEST_CASE("uniform tokens are uniform, and a block is worth its logarithms") {
  data::Generator g;
  g.corpus = "uniform";
  g.symbols = 10;
  const auto tokens = data::generate(g, "train", 50000, nullptr).tokens;
  std::vector<int> counts(10);
  for (const uint16_t t : tokens) ++counts.at(t);
  for (const int n : counts) CHECK(std::abs(n - 5000) < 5 * std::sqrt(4500.0));
  CHECK(data::generate(g, "val", 100, nullptr).tokens != std::vector<uint16_t>(tokens.begin(), tokens.begin() + 100));
  for (const int64_t wanted : {1, 129, 130, 1000}) {
    const data::Validation v = data::generate_validation(g, wanted, nullptr);
    CHECK(v.text.tokens.size() >= static_cast<size_t>(wanted));
    CHECK(v.text.tokens.size() % 128 == 1);
    CHECK(v.entropy->ends.front() == 129);
    CHECK(v.entropy->ends.back() == v.text.tokens.size());
    for (const double n : v.entropy->nats) CHECK(n == doctest::Approx(128 * std::log(10.0)));
    CHECK(v.entropy->agreements.empty());
  }
}

TEST_CASE("a manifest's source gives the generator back, or none") {
  data::Generator g;
  g.seed = 17;
  g.grammar = {64, 3};
  const auto same = data::Generator::from(g.describe());
  REQUIRE(same);
  CHECK(same->seed == 17);
  CHECK(same->grammar == g.grammar);
  core::Value old = g.describe();
  old.erase("grammar_depth");
  CHECK_FALSE(data::Generator::from(old));
  CHECK_FALSE(data::Generator::from(core::Value()));
  core::Value other = g.describe();
  other["corpus"] = "books";
  CHECK_FALSE(data::Generator::from(other));
  other["corpus"] = "grammar";
  other["grammar_words"] = int64_t{1} << 40;
  CHECK_FALSE(data::Generator::from(other));
}

TEST_CASE("shards that were touched, or cut, are not said to be known") {
  const Scratch scratch;
  const auto bytes = data::byte_tokenizer();
  data::Generator g;
  data::Dataset d;
  d.name = "grammar";
  d.tokenizer = bytes.get();
  d.source = g.describe();
  d.splits.emplace_back("train", data::generate(g, "train", 1000, bytes.get()));
  d.splits.emplace_back("val", data::generate_validation(g, 1000, bytes.get()).text);
  data::write_dataset(core::real_files(), d, scratch / "d", false);
  data::DataConfig config;
  config.path = scratch / "d";
  CHECK(data::open_corpus(config).val_entropy);
  std::vector<uint16_t> tokens = d.splits[1].second.tokens;
  tokens[500] = 4 + 'x';
  write_tokens(scratch / "d/grammar_val_000000.bin", tokens);
  CHECK_FALSE(data::open_corpus(config).val_entropy);
  tokens = d.splits[1].second.tokens;
  tokens.pop_back();
  write_tokens(scratch / "d/grammar_val_000000.bin", tokens);
  CHECK_FALSE(data::open_corpus(config).val_entropy);
}
