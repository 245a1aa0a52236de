#include <doctest/doctest.h>

#include <cmath>
#include <cstdio>

#include "assay/core/error.h"
#include "assay/core/value.h"
#include "assay/data/generator.h"
#include "assay/data/ngram.h"
#include "data/files.h"

using namespace assay;
using namespace assay::test;

namespace {

std::vector<uint16_t> ids(const core::Value& list) {
  std::vector<uint16_t> out;
  for (const core::Value& v : list.as_array()) out.push_back(static_cast<uint16_t>(v.as_int()));
  return out;
}

}  // namespace

TEST_CASE("probabilities of an n-gram model sum to 1 over the vocabulary, whatever the context") {
  const auto words = data::word_tokenizer(100);
  const auto tokens = data::generate({}, "train", 3000, words.get()).tokens;
  for (const int order : {1, 2, 3, 5}) {
    data::NGram model(order, words->vocab_size());
    model.add(tokens);
    for (const size_t at : {0U, 1U, 2U, 57U, 1000U, 2999U}) {
      for (const uint16_t unseen : {0, 3}) {
        std::vector<uint16_t> context(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(at));
        if (unseen) context.push_back(unseen);
        double sum = 0;
        for (int64_t w = 0; w < words->vocab_size(); ++w) {
          const double p = model.probability(context, static_cast<uint16_t>(w));
          CHECK(p > 0);
          sum += p;
        }
        CHECK(sum == doctest::Approx(1).epsilon(1e-12));
      }
    }
  }
}

TEST_CASE("an n-gram model agrees with a computation from the formulas") {
  const core::Value golden = core::parse_json(read(std::string(ASSAY_SOURCE_DIR) + "/tests/golden/ngram/cases.json"), "cases.json");
  REQUIRE(golden.at("cases").size() >= 6);
  for (const core::Value& c : golden.at("cases").as_array()) {
    data::NGram model(static_cast<int>(c.at("order").as_int()), c.at("vocab").as_int());
    for (const core::Value& row : c.at("rows").as_array()) model.add(ids(row));
    const auto source = data::tokens_in_memory(ids(c.at("test")));
    const std::vector<double> nats = model.nats(*source);
    const auto& wanted = c.at("nats").as_array();
    REQUIRE(nats.size() == wanted.size());
    for (size_t i = 0; i < nats.size(); ++i) CHECK(std::abs(nats[i] - wanted[i].as_double()) < 1e-9);
  }
}

TEST_CASE("a whole source counts like one row, and rows are apart") {
  const std::vector<uint16_t> a{0, 1, 2, 3, 1, 2, 0, 1, 2}, first{0, 1, 2, 3, 1}, second{2, 0, 1, 2};
  data::NGram row(3, 4), source(3, 4), rows(3, 4);
  row.add(a);
  source.add(*data::tokens_in_memory(a));
  rows.add(first);
  rows.add(second);
  const std::vector<uint16_t> context{3, 1};
  for (uint16_t w = 0; w < 4; ++w) CHECK(row.probability(context, w) == source.probability(context, w));
  // "1 2" after 3 was seen only over the border of the rows.
  CHECK(rows.probability(context, 2) < row.probability(context, 2));
}

TEST_CASE("longer n-grams are better on text with memory, and more counts change the answer at once") {
  const auto bytes = data::byte_tokenizer();
  const auto train = data::tokens_in_memory(data::generate({}, "train", 60000, bytes.get()).tokens);
  const auto val = data::tokens_in_memory(data::generate_validation({}, 5000, bytes.get()).text.tokens);
  double last = std::log(260.0);
  for (const int order : {1, 2, 3, 4, 5}) {
    data::NGram model(order, 260);
    model.add(*train);
    const double loss = model.mean_nats(*val);
    CHECK(loss < last);
    last = loss;
  }
  data::NGram model(2, 4);
  const std::vector<uint16_t> row{0, 1, 0, 1, 0, 1}, context{0};
  CHECK(model.probability(context, 1) == doctest::Approx(0.25));
  model.add(row);
  const double once = model.probability(context, 1);
  CHECK(once > 0.25);
  model.add(row);
  CHECK(model.probability(context, 1) > once);
}

TEST_CASE("ids beyond the vocabulary and orders that make no sense are refused") {
  CHECK_THROWS_AS(data::NGram(0, 10), core::ConfigError);
  CHECK_THROWS_AS(data::NGram(17, 10), core::ConfigError);
  CHECK_THROWS_AS(data::NGram(2, 0), core::ConfigError);
  data::NGram model(2, 4);
  const std::vector<uint16_t> row{0, 4};
  CHECK_THROWS_AS(model.add(row), core::DataError);
  CHECK_THROWS_AS(model.nats(*data::tokens_in_memory({0, 9})), core::DataError);
}
