#include <doctest/doctest.h>

#include <filesystem>

#include "assay/core/error.h"
#include "assay/data/corpus.h"
#include "data/files.h"
#include "data/model_files.h"

using namespace assay;
using namespace assay::test;
using data::Corpus;
using data::DataConfig;

namespace {

DataConfig at(const std::string& path) {
  DataConfig config;
  config.path = path;
  return config;
}

DataConfig small_grammar() {
  DataConfig config;
  config.corpus_tokens = 5000;
  config.corpus_val_tokens = 1000;
  return config;
}

std::string refusal(const DataConfig& config) {
  return test::refusal<core::Error>([&] { data::open_corpus(config); });
}

// A directory with two training shards, one validation shard and a model.
struct Shards {
  Shards() {
    write_tokens(scratch / "x_train_000000.bin", counting(100));
    write_tokens(scratch / "x_train_000001.bin", counting(50, 100));
    write_tokens(scratch / "x_val_000000.bin", counting(30, 200));
    write(scratch / "x.model", small_model());
  }
  Scratch scratch;
};

}  // namespace

TEST_CASE("the embedded corpus needs no files and has bytes as its tokenizer") {
  const Corpus c = data::open_corpus(small_grammar());
  CHECK(c.train->size() == 5000);
  CHECK(c.val->size() >= 1000);
  CHECK(c.val->size() < 1000 + 602);
  CHECK(c.vocab_size == 260);
  REQUIRE(c.tokenizer);
  CHECK(c.tokenizer->description() == "bytes");
  CHECK(c.hash.size() == 32);
  CHECK(all_of(*c.train)[0] == 1);
}

TEST_CASE("the corpus hash follows seed, size and tokenizer") {
  const std::string hash = data::open_corpus(small_grammar()).hash;
  CHECK(data::open_corpus(small_grammar()).hash == hash);
  DataConfig seed = small_grammar(), size = small_grammar(), model = small_grammar();
  seed.corpus_seed = 2;
  size.corpus_tokens = 5001;
  const Scratch scratch;
  write(scratch / "m.model", small_model());
  model.tokenizer = scratch / "m.model";
  for (const DataConfig& other : {seed, size, model}) CHECK(data::open_corpus(other).hash != hash);
}

TEST_CASE("a directory of shards is opened with the model that lies there") {
  const Shards s;
  const Corpus c = data::open_corpus(at(s.scratch.path()));
  CHECK(all_of(*c.train) == counting(150));
  CHECK(all_of(*c.val) == counting(30, 200));
  CHECK(c.vocab_size == 400);
  CHECK(c.tokenizer->description() == "sentencepiece x.model");
}

TEST_CASE("one file or a glob finds its validation shards by name") {
  const Shards s;
  const Corpus one = data::open_corpus(at(s.scratch / "x_train_000001.bin"));
  CHECK(all_of(*one.train) == counting(50, 100));
  CHECK(all_of(*one.val) == counting(30, 200));
  CHECK(one.vocab_size == 400);
  const Corpus glob = data::open_corpus(at(s.scratch / "x_train_*.bin"));
  CHECK(all_of(*glob.train) == counting(150));
  DataConfig named = at(s.scratch / "x_train_000000.bin");
  named.val_path = s.scratch / "x_train_000001.bin";
  CHECK(all_of(*data::open_corpus(named).val) == counting(50, 100));
}

TEST_CASE("shards without a tokenizer need a size of the vocabulary") {
  const Shards s;
  std::filesystem::remove(s.scratch / "x.model");
  CHECK(contains(refusal(at(s.scratch.path())), "vocab_size"));
  DataConfig config = at(s.scratch.path());
  config.vocab_size = 230;
  const Corpus c = data::open_corpus(config);
  CHECK_FALSE(c.tokenizer);
  CHECK(c.vocab_size == 230);
  config.vocab_size = 229;
  CHECK(contains(refusal(config), "x_val_000000.bin: token 29: wanted an id below 229, found 229"));
  config.vocab_size = 149;
  CHECK(contains(refusal(config), "x_train_000001.bin: token 49"));
}

TEST_CASE("two models beside the shards are ambiguous") {
  const Shards s;
  write(s.scratch / "y.model", small_model());
  CHECK(contains(refusal(at(s.scratch.path())), "x.model"));
  CHECK(contains(refusal(at(s.scratch.path())), "y.model"));
  DataConfig config = at(s.scratch.path());
  config.tokenizer = s.scratch / "y.model";
  CHECK(data::open_corpus(config).tokenizer->description() == "sentencepiece y.model");
}

TEST_CASE("a vocabulary may be larger than the tokenizer's, not smaller") {
  DataConfig config = small_grammar();
  config.vocab_size = 512;
  CHECK(data::open_corpus(config).vocab_size == 512);
  config.vocab_size = 259;
  CHECK(contains(refusal(config), "at least 260"));
}

TEST_CASE("text files become tokens, split by documents") {
  const Scratch scratch;
  write(scratch / "a.txt", "one\n\ntwo\n\nthree\n\nfour\n");
  const Corpus c = data::open_corpus(at(scratch / "a.txt"));
  const std::string train = c.tokenizer->decode(all_of(*c.train)), val = c.tokenizer->decode(all_of(*c.val));
  CHECK(train.size() + val.size() == std::string("onetwothreefour").size());
  CHECK_FALSE(val.empty());
  CHECK(all_of(*c.train)[0] == 1);
  CHECK(c.vocab_size == 260);
}

TEST_CASE("text files of their own for validation") {
  const Scratch scratch;
  write(scratch / "a.txt", "train");
  write(scratch / "b.jsonl", "{\"text\": \"validate\"}\n");
  DataConfig config = at(scratch / "a.txt");
  CHECK(contains(refusal(config), "val_path"));
  config.val_path = scratch / "b.jsonl";
  const Corpus c = data::open_corpus(config);
  CHECK(c.tokenizer->decode(all_of(*c.train)) == "train");
  CHECK(c.tokenizer->decode(all_of(*c.val)) == "validate");
}

TEST_CASE("one document can be split only by its paragraphs") {
  const Scratch scratch;
  write(scratch / "a.txt", "one\n\ntwo\n");
  DataConfig config = at(scratch / "a.txt");
  config.split_paragraphs = false;
  CHECK(contains(refusal(config), "1 document"));
  config.split_paragraphs = true;
  CHECK(refusal(config).empty());
  config.val_fraction = 0;
  CHECK(contains(refusal(config), "val_fraction"));
}

TEST_CASE("training and validation that are one file are refused, also through a link") {
  const Shards s;
  DataConfig config = at(s.scratch.path());
  config.val_path = s.scratch / "x_train_000001.bin";
  CHECK(contains(refusal(config), "x_train_000001.bin"));
  CHECK(contains(refusal(config), "is the training file"));
  std::filesystem::create_symlink("x_train_000000.bin", s.scratch / "alias.bin");
  config.val_path = s.scratch / "alias.bin";
  CHECK(contains(refusal(config), "alias.bin is the training file"));
  write(s.scratch / "a.txt", "text");
  DataConfig text = at(s.scratch / "a.txt");
  text.val_path = s.scratch / "a.txt";
  CHECK(contains(refusal(text), "is the training file"));
}

TEST_CASE("what is no corpus is refused with what was wanted") {
  const Scratch scratch;
  CHECK(contains(refusal(at("gramar")), "did you mean 'grammar'"));
  CHECK(contains(refusal(at("")), "path"));
  CHECK(contains(refusal(at(scratch.path())), "*_train_*.bin"));
  CHECK(contains(refusal(at(scratch / "no.bin")), "does not exist"));
  DataConfig empty = at(scratch.path());
  empty.vocab_size = 10;
  CHECK(contains(refusal(empty), "*_train_*.bin"));
  write_tokens(scratch / "x_train_0.bin", {1});
  CHECK(contains(refusal(at(scratch.path())), "no tokenizer beside it"));
  CHECK(contains(refusal(empty), "*_val_*.bin"));
  DataConfig missing = at(scratch / "no.bin");
  missing.vocab_size = 10;
  CHECK(contains(refusal(missing), "no.bin"));
  write(scratch / "e.txt", "");
  CHECK(contains(refusal(at(scratch / "e.txt")), "empty"));
  DataConfig model = small_grammar();
  model.tokenizer = scratch / "e.txt";
  CHECK(contains(refusal(model), "e.txt"));
  DataConfig val = small_grammar();
  val.val_path = "grammar";
  CHECK(contains(refusal(val), "wanted shards or a text"));
}

TEST_CASE("validation shards for a file whose name tells no split must be named") {
  const Scratch scratch;
  write_tokens(scratch / "x.bin", {1, 2});
  DataConfig config = at(scratch / "x.bin");
  config.vocab_size = 10;
  CHECK(contains(refusal(config), "val_path"));
}

TEST_CASE("options are declared with ranges and the reference's environment names") {
  const core::Schema& schema = DataConfig::schema();
  CHECK(schema.section() == "data");
  REQUIRE(schema.find("path"));
  CHECK(schema.find("path")->environment == std::vector<std::string>{"DATA_PATH", "TRAIN_PATTERN"});
  CHECK(schema.find("vocab_size")->max == 65536);
  DataConfig config;
  core::Bound bound = core::Bound::of(config);
  bound.set("order", core::Value("blocks"), core::Source::command_line);
  CHECK(config.order == "blocks");
  CHECK_THROWS_AS(bound.set("order", core::Value("random"), core::Source::command_line), core::ConfigError);
  CHECK_THROWS_AS(bound.set("val_fraction", core::Value(0.9), core::Source::command_line), core::ConfigError);
}

TEST_CASE("the corpus tokens that a budget needs suffice for every order without a second look at one") {
  CHECK(data::corpus_tokens_for(1000, 10) == 1101);
  CHECK(data::corpus_tokens_for(1001, 10) == 1112);
  CHECK(data::corpus_tokens_for(0, 10) == 12);
  CHECK(data::corpus_tokens_for(int64_t{1} << 40, 128) == 2147483647);
  for (const int64_t rows : {1, 3}) {
    for (const int64_t batches : {1, 7}) {
      const int64_t length = 16, size = data::corpus_tokens_for(rows * batches * length, length);
      CHECK(size >= batches * (rows * length + 1));    // sequential
      CHECK((size - 1) / length >= rows * batches);    // shuffled
      CHECK((size - 1) / (rows * length) >= batches);  // blocks
    }
  }
}

TEST_CASE("options that no embedded corpus can have are refused") {
  DataConfig config = small_grammar();
  config.path = "uniform";
  config.tokenizer = "bytes";
  CHECK(contains(refusal(config), "holds no text"));
  config = small_grammar();
  config.grammar_depth = 9;
  CHECK(contains(refusal(config), "grammar_depth"));
  config = small_grammar();
  config.tokenizer = "words:x";
  CHECK(contains(refusal(config), "words:N"));
}
