#include <doctest/doctest.h>

#include <algorithm>

#include "assay/core/error.h"
#include "assay/data/byte_count.h"
#include "assay/data/corpus.h"
#include "assay/data/tokenizer.h"
#include "data/files.h"
#include "data/model_files.h"

using namespace assay;
using namespace assay::test;

TEST_CASE("bytes: text of every byte comes back, after four control ids") {
  const auto bytes = data::byte_tokenizer();
  std::string all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<char>(i));
  const auto ids = bytes->encode(all);
  REQUIRE(ids.size() == 256);
  CHECK(ids[0] == 4);
  CHECK(ids[255] == 259);
  CHECK(bytes->decode(ids) == all);
  CHECK(bytes->vocab_size() == 260);
  CHECK(bytes->bos() == 1);
  CHECK(bytes->eos() == 2);
}

TEST_CASE("bytes: control ids give no text and unknown ids are refused") {
  const auto bytes = data::byte_tokenizer();
  CHECK(bytes->decode({1, 4 + 'a', 0, 2, 3, 4 + 'b'}) == "ab");
  CHECK(contains(refusal<core::DataError>([&] { bytes->decode({260}); }), "id 260"));
  CHECK_THROWS_AS(bytes->piece(-1), core::DataError);
  CHECK_THROWS_AS(bytes->piece(260), core::DataError);
}

TEST_CASE("bytes: pieces can be read by people") {
  const auto bytes = data::byte_tokenizer();
  CHECK(bytes->piece(1) == "<bos>");
  CHECK(bytes->piece(4 + 'a') == "a");
  CHECK(bytes->piece(4 + '\n') == "<0x0A>");
  CHECK(bytes->piece(259) == "<0xFF>");
  CHECK(bytes->description() == "bytes");
  CHECK(bytes->hash().size() == 32);
}

TEST_CASE("bytes: the table counts one byte for each byte and none for control ids") {
  const auto table = data::byte_tokenizer()->byte_table();
  REQUIRE(table.bytes.size() == 260);
  for (size_t id = 0; id < 260; ++id) {
    CHECK(table.bytes[id] == (id < 4 ? 0 : 1));
    CHECK(table.boundary[id] == (id < 4 ? 1 : 0));
    CHECK(table.leading_space[id] == 0);
  }
}

TEST_CASE("the byte count of a long source does not depend on the pieces it is read in") {
  const auto bytes = data::byte_tokenizer();
  std::vector<uint16_t> tokens(2'500'000, 4 + 'x');
  tokens[(1 << 20) - 1] = 1;
  tokens[1 << 20] = 1;
  const data::ByteCount count = data::count_bytes(*data::tokens_in_memory(tokens), *bytes, 0, tokens.size());
  CHECK(count.tokens == 2'499'999);
  CHECK(count.table_bytes == 2'499'997);
  CHECK(count.exact);
}

TEST_CASE("a tokenizer is opened by name") {
  CHECK(data::open_tokenizer("bytes")->description() == "bytes");
  CHECK(contains(refusal<core::DataError>([] { data::open_tokenizer("/nowhere/x.model"); }), "x.model"));
}

TEST_CASE("words of the grammar are ids of their own, and every text comes back") {
  const auto words = data::word_tokenizer(100);
  CHECK(words->vocab_size() == 533);
  CHECK(words->bos() == 1);
  for (const std::string& d : grammar_documents(300)) {
    const auto ids = words->encode(d);
    CHECK(words->decode(ids) == d);
    for (const uint16_t id : ids) CHECK((id >= 260 || (id >= 4 + '0' && id <= 4 + '9')));  // nothing is left over but second digits
  }
  for (const std::string& text : {std::string(), std::string("the"), std::string(" thesis"),
                                  std::string("  Anna,she said: 17 \xC3\xA4\n\n"), std::string("\xFF\x00 is", 5), std::string(".\n.")}) {
    CHECK(words->decode(words->encode(text)) == text);
  }
  CHECK(words->encode(" sees").size() == 1);
  CHECK(words->encode(" seesaw").size() == 7);
}

TEST_CASE("the bytes that words stand for add up to the text") {
  const auto words = data::word_tokenizer(100);
  const auto table = words->byte_table();
  REQUIRE(table.bytes.size() == 533);
  for (const std::string& d : grammar_documents(50)) {
    size_t bytes = 0;
    for (const uint16_t id : words->encode(d)) bytes += static_cast<size_t>(table.bytes[id]);
    CHECK(bytes == d.size());
  }
  CHECK(words->piece(words->encode(" Anna").front()) == "\u2581Anna");
  CHECK_THROWS_AS(words->decode({533}), core::DataError);
}

TEST_CASE("word tokenizers of different lexicons are different tokenizers") {
  CHECK(data::word_tokenizer(100)->hash() != data::word_tokenizer(64)->hash());
  CHECK(data::open_tokenizer("words")->hash() == data::word_tokenizer(100)->hash());
  CHECK(data::open_tokenizer("words:64")->description() == "words:64");
  CHECK_THROWS_AS(data::open_tokenizer("words:"), core::ConfigError);
  CHECK_THROWS_AS(data::open_tokenizer("words:7"), core::ConfigError);
}
