#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>

#include "assay/core/value.h"
#include "assay/data/generator.h"
#include "data/command.h"
#include "data/files.h"
#include "data/model_files.h"

using namespace assay;
using namespace assay::test;

TEST_CASE("data make writes the shards that it reports") {
  const Scratch scratch;
  const core::Value v = json({"make", "grammar", "--tokens", "4000", "--val-tokens", "500", "--seed", "3", "--out", scratch / "d"});
  CHECK(keys(v) == std::vector<std::string>{"out", "format", "name", "source", "tokenizer", "splits", "hash"});
  CHECK(v.at("source").at("seed").as_int() == 3);
  CHECK(v.at("splits").at("train").at("tokens").as_int() == 4000);
  const auto bytes = data::byte_tokenizer();
  CHECK(all_of(*data::open_shard(scratch / "d/grammar_train_000000.bin", 260)) ==
        data::generate({.seed = 3}, "train", 4000, bytes.get()).tokens);
  CHECK(all_of(*data::open_shard(scratch / "d/grammar_val_000000.bin", 260)) ==
        data::generate_validation({.seed = 3}, 500, bytes.get()).text.tokens);
  CHECK(v.at("hash") ==
        json({"make", "grammar", "--tokens", "4000", "--val-tokens", "500", "--seed", "3", "--out", scratch / "e"}).at("hash"));
}

TEST_CASE("data make can be read as a corpus, equal to the one in memory") {
  const Scratch scratch;
  json({"make", "grammar", "--tokens", "4000", "--val-tokens", "500", "--out", scratch / "d"});
  data::DataConfig written, embedded;
  written.path = scratch / "d";
  embedded.corpus_tokens = 4000;
  embedded.corpus_val_tokens = 500;
  CHECK(data::open_corpus(written).hash == data::open_corpus(embedded).hash);
}

TEST_CASE("data make writes the grammar with its knobs and words, and what is known comes back with the shards") {
  const Scratch scratch;
  const core::Value v = json({"make", "grammar", "--tokens", "3000", "--val-tokens", "900", "--grammar-words", "64", "--grammar-depth", "1",
                              "--tokenizer", "words", "--out", scratch / "d"});
  CHECK(v.at("source") == core::parse_json(R"({"corpus": "grammar", "seed": 1, "grammar_words": 64, "grammar_depth": 1})", "wanted"));
  CHECK(v.at("tokenizer").at("description").as_string() == "words:64");
  data::DataConfig written, embedded;
  written.path = scratch / "d";
  embedded.corpus_tokens = 3000;
  embedded.corpus_val_tokens = 900;
  embedded.grammar_words = 64;
  embedded.grammar_depth = 1;
  embedded.tokenizer = "words";
  const data::Corpus a = data::open_corpus(written), b = data::open_corpus(embedded);
  CHECK(a.hash == b.hash);
  REQUIRE(a.val_entropy);
  CHECK(a.val_entropy->nats == b.val_entropy->nats);
  CHECK(a.val_entropy->ends == b.val_entropy->ends);
}

TEST_CASE("data make uniform needs no tokenizer and says how many symbols there are") {
  const Scratch scratch;
  const core::Value v = json({"make", "uniform", "--tokens", "1000", "--val-tokens", "200", "--vocab-size", "50", "--out", scratch / "d"});
  CHECK(v.at("tokenizer").is_null());
  CHECK(v.at("source").at("vocab_size").as_int() == 50);
  CHECK(v.at("splits").at("val").at("tokens").as_int() == 257);
  data::DataConfig config;
  config.path = scratch / "d";
  const data::Corpus c = data::open_corpus(config);
  CHECK(c.vocab_size == 50);
  CHECK_FALSE(c.tokenizer);
  REQUIRE(c.val_entropy);
  CHECK(c.val_entropy->nats.size() == 2);
  check_refused({"make", "uniform", "--tokenizer", "bytes", "--out", scratch / "e"}, {"--tokenizer", "no text"});
  check_refused({"make", "grammar", "--grammar-words", "10", "--out", scratch / "e"}, {"--grammar-words"});
  check_refused({"make", "grammar", "--grammar-depth", "9", "--out", scratch / "e"}, {"--grammar-depth"});
}

TEST_CASE("data baseline compares n-grams with the entropy") {
  const Scratch scratch;
  const core::Value v = json({"baseline", "grammar", "--tokens", "20000", "--order", "3", "--tokenizer", "words"});
  CHECK(keys(v) == std::vector<std::string>{"path", "tokens", "val_tokens", "entropy", "orders"});
  CHECK(v.at("orders").size() == 3);
  double last = 100;
  for (const core::Value& o : v.at("orders").as_array()) {
    CHECK(o.at("loss").as_double() < last);
    last = o.at("loss").as_double();
  }
  CHECK(v.at("entropy").as_double() < last);
  write_tokens(scratch / "x_train_0.bin", {1, 2, 1, 2, 1});
  write_tokens(scratch / "x_val_0.bin", {1, 2, 1});
  CHECK(json({"baseline", scratch.path(), "--vocab-size", "3"}).at("entropy").is_null());
}

TEST_CASE("data train-tokenizer, encode and decode give a text back") {
  const Scratch scratch;
  std::string text;
  for (const std::string& d : grammar_documents(60)) text += d;
  write(scratch / "a.txt", text);
  const core::Value trained = json({"train-tokenizer", scratch / "a.txt", "--vocab-size", "400", "--out", scratch / "a.model"});
  CHECK(keys(trained) == std::vector<std::string>{"out", "vocab_size", "documents", "bytes", "hash"});
  for (const std::string& tokenizer : {scratch / "a.model", std::string("bytes")}) {
    const std::string out = scratch / ("d" + std::to_string(tokenizer.size()));
    const core::Value v = json({"encode", scratch / "a.txt", "--tokenizer", tokenizer, "--out", out});
    CHECK(v.at("splits").at("train").at("documents").as_int() == 1);
    CHECK(run({"decode", out + "/a_train_000000.bin"}).out == text);
    CHECK(run({"decode", out + "/a_train_000000.bin", "--tokenizer", tokenizer}).out == text);
  }
}

TEST_CASE("data encode takes several files and sets documents aside for validation") {
  const Scratch scratch;
  std::string lines;
  for (int i = 0; i < 50; ++i) lines += "{\"text\": \"document " + std::to_string(i) + "\"}\n";
  write(scratch / "b.jsonl", lines);
  write(scratch / "c.txt", "one\n\ntwo\n");
  const core::Value v = json({"encode", scratch / "b.jsonl", scratch / "c.txt", "--split-paragraphs", "--val-fraction", "0.2", "--name",
                              "mixed", "--out", scratch / "d"});
  const int64_t train = v.at("splits").at("train").at("documents").as_int(), val = v.at("splits").at("val").at("documents").as_int();
  CHECK(train + val == 52);
  CHECK(val > 2);
  const auto tokens = all_of(*data::open_shard(scratch / "d/mixed_train_000000.bin", 260));
  CHECK(tokens[0] == 1);
  CHECK(std::count(tokens.begin(), tokens.end(), 1) == train);
}

TEST_CASE("data decode prints a part, and JSON even where it cuts a character") {
  const Scratch scratch;
  write(scratch / "a.txt", "h\xC3\xA9llo");
  json({"encode", scratch / "a.txt", "--out", scratch / "d"});
  const std::string shard = scratch / "d/a_train_000000.bin";
  CHECK(run({"decode", shard, "--offset", "4", "--count", "2"}).out == "ll");
  const core::Value v = json({"decode", shard, "--offset", "1", "--count", "2"});
  CHECK(keys(v) == std::vector<std::string>{"file", "offset", "tokens", "text"});
  CHECK(v.at("text").as_string() == "h\xEF\xBF\xBD");
  check_refused({"decode", shard, "--offset", "8"}, {"--offset", "0 to 7", "found 8"});
  check_refused({"decode", shard, "--offset", "3", "--count", "5"}, {"--count", "0 to 4", "found 5"});
  check_refused({"decode", shard, "--count", "-1"}, {"--count"});
}

TEST_CASE("data info says what each kind of thing holds") {
  const Scratch scratch;
  write(scratch / "a.txt", "four");
  write(scratch / "a.model", small_model());
  json({"encode", scratch / "a.txt", "--out", scratch / "d"});
  CHECK(json({"info", "grammar"}).at("kind").as_string() == "corpus");
  const core::Value text = json({"info", scratch / "a.txt"});
  CHECK(keys(text) == std::vector<std::string>{"kind", "path", "documents", "bytes"});
  CHECK(text.at("bytes").as_int() == 4);
  const core::Value model = json({"info", scratch / "a.model"});
  CHECK(keys(model) == std::vector<std::string>{"kind", "path", "description", "vocab_size", "bos", "eos", "hash"});
  CHECK(model.at("vocab_size").as_int() == 400);
  for (const std::string& path : {scratch / "d", scratch / "d/a_train_000000.bin", scratch / "d/*.bin"}) {
    const core::Value shards = json({"info", path});
    CHECK(keys(shards) == std::vector<std::string>{"kind", "path", "tokenizer", "files", "tokens"});
    CHECK(shards.at("tokens").as_int() == 5);
    const core::Value& file = shards.at("files").as_array()[0];
    CHECK(keys(file) == std::vector<std::string>{"file", "tokens", "max_id", "hash", "byte_count", "bytes_per_token"});
    CHECK(file.at("bytes_per_token").as_double() == 1.0);
  }
  CHECK(contains(run({"info", scratch / "d"}).out, "tokens: 5"));
}

TEST_CASE("data info counts bytes, and says what it does not know about them") {
  const Scratch scratch;
  write(scratch / "a.txt", "Anna has \xE4\xBD\xA0 apples.");
  write(scratch / "a.model", small_model());
  write(scratch / "letters.model", letters() + trainer(2));
  json({"encode", scratch / "a.txt", "--tokenizer", scratch / "a.model", "--out", scratch / "d"});
  const core::Value file = json({"info", scratch / "d"}).at("files").as_array()[0];
  const core::Value& count = file.at("byte_count");
  CHECK(keys(count) == std::vector<std::string>{"exact", "lower", "upper", "decoded", "table", "reason"});
  CHECK(count.at("exact").as_bool());
  for (const char* key : {"lower", "upper", "decoded", "table"}) CHECK(count.at(key).as_int() == 20);
  CHECK(file.at("bytes_per_token").as_double() == doctest::Approx(20.0 / static_cast<double>(file.at("tokens").as_int() - 1)));

  const core::Value bounded = json({"info", scratch / "d", "--tokenizer", scratch / "letters.model"}).at("files").as_array()[0];
  CHECK_FALSE(bounded.at("byte_count").at("exact").as_bool());
  CHECK(bounded.at("byte_count").at("upper").is_null());
  CHECK(contains(bounded.at("byte_count").at("reason").as_string(), "beyond the tokenizer"));
  CHECK(bounded.at("bytes_per_token").is_null());

  const core::Value text = json({"info", scratch / "a.txt", "--tokenizer", scratch / "letters.model"});
  CHECK(keys(text) ==
        std::vector<std::string>{"kind", "path", "documents", "bytes", "tokenizer", "tokens", "byte_count", "bytes_per_token"});
  CHECK(text.at("byte_count").at("exact").as_bool());
  CHECK(text.at("byte_count").at("lower").as_int() == 20);
  CHECK(contains(text.at("byte_count").at("reason").as_string(), "do not come back from their tokens: 1 of 1"));
  check_refused({"info", "grammar", "--tokenizer", "bytes"}, {"--tokenizer", "grammar"});
}

TEST_CASE("data verify reports every file and fails when one is broken") {
  const Scratch scratch;
  json({"make", "grammar", "--tokens", "400", "--val-tokens", "50", "--out", scratch / "d"});
  const core::Value good = json({"verify", scratch / "d"});
  CHECK(keys(good) == std::vector<std::string>{"pass", "files"});
  CHECK(good.at("pass").as_bool());
  CHECK(good.at("files").size() == 2);
  CHECK(keys(good.at("files").as_array()[0]) == std::vector<std::string>{"file", "pass", "error", "tokens", "max_id", "vocab", "hash"});
  CHECK(good.at("files").as_array()[0].at("vocab").as_int() == 260);

  const int64_t tokens = good.at("files").as_array()[1].at("tokens").as_int();
  std::filesystem::resize_file(scratch / "d/grammar_val_000000.bin", 1024 + 99);
  const Result bad = run({"verify", scratch / "d", "--json"});
  CHECK(bad.code == 2);
  CHECK(contains(bad.error, "grammar_val_000000.bin: token count: header says " + std::to_string(tokens) + " tokens, which is " +
                                std::to_string(1024 + 2 * tokens) + " bytes; the file holds 1123"));
  const core::Value v = core::parse_json(bad.out, "stdout");
  CHECK_FALSE(v.at("pass").as_bool());
  CHECK(v.at("files").as_array()[0].at("pass").as_bool());
  CHECK_FALSE(v.at("files").as_array()[1].at("pass").as_bool());
}

TEST_CASE("two models beside a shard keep nobody from looking at it") {
  const Scratch scratch;
  write_tokens(scratch / "x.bin", {1, 2, 3});
  write(scratch / "a.model", small_model());
  write(scratch / "b.model", small_model());
  CHECK(json({"info", scratch / "x.bin"}).at("tokenizer").is_null());
  CHECK(json({"verify", scratch / "x.bin"}).at("files").as_array()[0].at("vocab").as_int() == 65536);
  check_refused({"decode", scratch / "x.bin"}, {"a.model", "b.model"});
}

TEST_CASE("data verify refuses each kind of malformed input with exit code 2") {
  const Scratch scratch;
  write_tokens(scratch / "x.bin", {1, 2, 65535});
  CHECK(run({"verify", scratch / "x.bin"}).code == 0);
  check_refused({"verify", scratch / "x.bin", "--vocab", "65535"}, {"token 2", "below 65535", "found 65535"});
  check_refused({"verify", scratch / "x.bin", "--vocab", "2"}, {"token 1", "below 2", "found 2"});
  check_refused({"verify", scratch / "x.bin", "--vocab", "0"}, {"--vocab"});
  check_refused({"verify", scratch / "no.bin"}, {"no.bin"});
  std::filesystem::create_directory(scratch / "e.bin");
  check_refused({"verify", scratch / "e.bin"}, {"e.bin"});
  write(scratch / "bad.txt", "\xFF");
  check_refused({"verify", scratch / "bad.txt"}, {"offset 0"});
  write(scratch / "bad.model", "nothing");
  check_refused({"verify", scratch / "bad.model"}, {"bad.model"});
  check_refused({"verify"}, {"FILES"});
}

TEST_CASE("bad input creates nothing") {
  const Scratch scratch;
  const std::string out = scratch / "out";
  write(scratch / "bad.txt", "caf\xE9");
  write(scratch / "bad.jsonl", "{\"text\": \"x\"}\n{\"txt\": 1}\n");
  write(scratch / "a.txt", "text");
  check_refused({"make", "gramar", "--out", out}, {"did you mean 'grammar'"});
  check_refused({"make", "grammar"}, {"--out"});
  check_refused({"make", "grammar", "--tokens", "0", "--out", out}, {"--tokens"});
  check_refused({"make", "grammar", "--tokens", "many", "--out", out}, {"--tokens"});
  check_refused({"make", "grammar", "--seed", "-1", "--out", out}, {"--seed"});
  check_refused({"make", "grammar", "--tokenizer", scratch / "a.txt", "--out", out}, {"a.txt"});
  check_refused({"make", "grammar", "--tokenizr", "bytes", "--out", out}, {"--tokenizer"});
  check_refused({"encode", scratch / "bad.txt", "--out", out}, {"bad.txt", "offset 3"});
  check_refused({"encode", scratch / "a.txt", scratch / "bad.jsonl", "--out", out}, {"bad.jsonl: line 2"});
  check_refused({"encode", scratch / "missing.txt", "--out", out}, {"missing.txt"});
  check_refused({"encode", scratch / "a.txt", "--name", "../x", "--out", out}, {"--name"});
  check_refused({"encode", scratch / "a.txt", "--val-fraction", "0.7", "--out", out}, {"--val-fraction"});
  check_refused({"encode", scratch / "a.txt", "--val-fraction", "nan", "--out", out}, {"--val-fraction"});
  check_refused({"train-tokenizer", scratch / "a.txt", "--vocab-size", "12", "--out", out + ".model"}, {"vocab-size"});
  check_refused({"train-tokenizer", scratch / "a.txt", "--vocab-size", "5000", "--out", out + ".model"}, {"vocab-size"});
  check_refused({"train-tokenizer", scratch / "a.txt", "--vocab-size", "300", "--out", out}, {".model"});
  check_refused({"decode", scratch / "a.txt"}, {"tokenizer"});
  check_refused({"decode", scratch / "a.txt", "--tokenizer", "bytes"}, {"a.txt", "header"});
  check_refused({"info", scratch / "nothing"}, {"nothing"});
  check_refused({}, {"action"});
  check_refused({"mak"}, {"did you mean 'make'"});
  CHECK(core::list_directory(scratch.path()) == std::vector<std::string>{"a.txt", "bad.jsonl", "bad.txt"});
}

TEST_CASE("outputs that exist are replaced only by force") {
  const Scratch scratch;
  write(scratch / "a.txt", "aaaa aaaa aaaa bbbb bbbb bbbb");
  const Arguments make{"make", "grammar", "--tokens", "100", "--val-tokens", "0", "--out", scratch / "d"};
  const Arguments train{"train-tokenizer", scratch / "a.txt", "--vocab-size", "264", "--out", scratch / "t.model"};
  for (Arguments args : {make, train}) {
    CHECK(run(args).code == 0);
    check_refused(args, {"exists; --force replaces it"});
    args.push_back("--force");
    CHECK(run(args).code == 0);
  }
}

TEST_CASE("help is printed for the command and each action") {
  const Result all = run({"--help"});
  CHECK(all.code == 0);
  for (const char* action : {"make", "info", "encode", "decode", "train-tokenizer", "verify", "overlap"}) {
    CHECK(contains(all.out, action));
    const Result one = run({action, "--help"});
    CHECK(one.code == 0);
    CHECK(contains(one.out, "--json"));
  }
}
