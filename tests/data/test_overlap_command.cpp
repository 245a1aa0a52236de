#include <doctest/doctest.h>

#include <filesystem>

#include "assay/core/value.h"
#include "data/command.h"
#include "data/files.h"
#include "data/model_files.h"

using namespace assay;
using namespace assay::test;

namespace {

std::string joined(const std::vector<std::string>& documents) {
  std::string out;
  for (const std::string& d : documents) out += d + "\n\n";
  return out;
}

std::string grammar(std::string_view split, size_t bytes) {
  std::string out;
  for (uint64_t i = 0; out.size() < bytes; ++i) out += data::grammar_document({}, 7, split, i).text + "\n\n";
  return out;
}

const std::string kPlanted = "It is a truth that nobody in the village would have said aloud: the bell had not been rung since the winter "
                             "of the flood, and the rope "
                             "that hung from it was there for the children, who climbed it on Sundays while their mothers looked away. ";

std::string lines_of(const std::vector<std::string>& documents) {
  std::string out;
  for (const std::string& d : documents) {
    core::Value v = core::Value::object();
    v["text"] = d;
    out += core::to_json(v) + "\n";
  }
  return out;
}

core::Value found(const Arguments& args) {
  Arguments all = args;
  all.emplace_back("--json");
  const Result r = run(all);
  REQUIRE_MESSAGE(r.code == 1, r.error);
  return core::parse_json(r.out, "stdout");
}

}  // namespace

TEST_CASE("a paragraph planted in ten megabytes is found at its place, with its length, and progress is shown") {
  const Scratch scratch;
  std::string train = grammar("train", 10'000'000), val = grammar("val", 200'000);
  const size_t there = 7'654'321, here = 123'456;
  train.insert(there, "<" + kPlanted + ">");
  val.insert(here, "[" + kPlanted + "]");
  write(scratch / "train.txt", train);
  write(scratch / "val.txt", val);
  const Result r = run({"overlap", scratch / "train.txt", scratch / "val.txt", "--ngram", "240", "--json"});
  CHECK(r.code == 1);
  CHECK(contains(r.error, "overlap "));
  CHECK(contains(r.error, "100%"));
  const core::Value v = core::parse_json(r.out, "stdout");
  CHECK(keys(v) == std::vector<std::string>{"shared", "unit", "ngram", "train", "val", "identical_documents", "shared_documents",
                                            "shared_document_fraction", "shared_size", "shared_fraction", "longest"});
  CHECK(v.at("shared").as_bool());
  CHECK(v.at("unit").as_string() == "bytes");
  CHECK(v.at("shared_size").as_int() == static_cast<int64_t>(kPlanted.size()));
  CHECK(v.at("val").at("size").as_int() == static_cast<int64_t>(val.size()));
  REQUIRE(v.at("longest").size() == 1);
  const core::Value& one = v.at("longest").as_array()[0];
  CHECK(keys(one) == std::vector<std::string>{"kind", "length", "train", "val", "excerpt"});
  CHECK(one.at("kind").as_string() == "passage");
  CHECK(one.at("length").as_int() == static_cast<int64_t>(kPlanted.size()));
  CHECK(keys(one.at("train")) == std::vector<std::string>{"file", "file_offset", "document", "offset"});
  CHECK(one.at("train").at("file").as_string() == scratch / "train.txt");
  CHECK(one.at("train").at("offset").as_int() == static_cast<int64_t>(there + 1));
  CHECK(one.at("val").at("offset").as_int() == static_cast<int64_t>(here + 1));
  CHECK(kPlanted.starts_with(one.at("excerpt").as_string()));
  CHECK(run({"overlap", scratch / "train.txt", scratch / "val.txt", "--ngram", "240", "--quiet"}).error.empty());
  const std::string plain = run({"overlap", scratch / "train.txt", scratch / "val.txt", "--ngram", "240"}).out;
  CHECK(contains(plain, "val.txt (document 0, byte 123457)"));
  CHECK(contains(plain, "It is a truth that nobody"));
}

TEST_CASE("a copied document of .jsonl files is found, and unrelated documents are not") {
  const Scratch scratch;
  auto train = grammar_documents(30);
  std::vector<std::string> val;
  for (size_t i = 0; i < 10; ++i) val.push_back(data::grammar_document({}, 9, "val", i).text);
  write(scratch / "train.jsonl", lines_of(train));
  write(scratch / "val.jsonl", lines_of(val));
  CHECK(run({"overlap", scratch / "train.jsonl", scratch / "val.jsonl"}).code == 0);
  val[4] = train[21];
  write(scratch / "val.jsonl", lines_of(val));
  const core::Value v = found({"overlap", scratch / "train.jsonl", scratch / "val.jsonl"});
  CHECK(v.at("identical_documents").as_int() == 1);
  CHECK(v.at("shared_document_fraction").as_double() == doctest::Approx(0.1));
  const core::Value& one = v.at("longest").as_array()[0];
  CHECK(one.at("kind").as_string() == "document");
  CHECK(one.at("train").at("document").as_int() == 21);
  CHECK(one.at("val").at("document").as_int() == 4);
  CHECK(one.at("val").at("file_offset").is_null());
}

TEST_CASE("a passage across the border of two shards is found in the tokens of a directory") {
  const Scratch scratch;
  std::filesystem::create_directory(scratch / "d");
  std::vector<uint16_t> train = counting(6000, 10), val = counting(500, 20000);
  std::copy_n(train.begin() + 2960, 80, val.begin() + 100);
  write_tokens(scratch / "d/x_train_000000.bin", {train.begin(), train.begin() + 3000});
  write_tokens(scratch / "d/x_train_000001.bin", {train.begin() + 3000, train.end()});
  write_tokens(scratch / "d/x_val_000000.bin", val);
  for (const Arguments& paths : {Arguments{scratch / "d"}, Arguments{scratch / "d", scratch / "d"},
                                 Arguments{scratch / "d/*_train_*.bin", scratch / "d/x_val_000000.bin"}}) {
    Arguments args{"overlap"};
    args.insert(args.end(), paths.begin(), paths.end());
    const core::Value v = found(args);
    CHECK(v.at("unit").as_string() == "tokens");
    CHECK(v.at("ngram").as_int() == 50);
    const core::Value& one = v.at("longest").as_array()[0];
    CHECK(one.at("length").as_int() == 80);
    CHECK(one.at("train").at("file").as_string() == scratch / "d/x_train_000000.bin");
    CHECK(one.at("train").at("file_offset").as_int() == 2960);
    CHECK(one.at("val").at("file_offset").as_int() == 100);
    CHECK(contains(one.at("excerpt").as_string(), "2970 2971 "));
  }
}

TEST_CASE("shards, text and shards of another tokenizer are compared as text") {
  const Scratch scratch;
  write(scratch / "a.model", small_model());
  write(scratch / "train.txt", joined(grammar_documents(20)) + kPlanted);
  write(scratch / "val.txt", "Nothing but this. " + kPlanted + "The end.");
  CHECK(run({"encode", scratch / "train.txt", "--tokenizer", scratch / "a.model", "--out", scratch / "model"}).code == 0);
  CHECK(run({"encode", scratch / "train.txt", "--out", scratch / "bytes"}).code == 0);
  CHECK(run({"encode", scratch / "val.txt", "--out", scratch / "val", "--name", "x"}).code == 0);
  for (const std::string& train : {scratch / "model", scratch / "bytes", scratch / "train.txt"}) {
    for (const std::string& val : {scratch / "val.txt", scratch / "val/x_train_000000.bin"}) {
      const core::Value v = found({"overlap", train, val});
      CHECK(v.at("unit").as_string() == "bytes");
      CHECK(v.at("shared_size").as_int() == static_cast<int64_t>(kPlanted.size()));
      CHECK(v.at("longest").as_array()[0].at("val").at("offset").as_int() == 18);
    }
  }
}

TEST_CASE("the embedded corpus shares nothing between its parts, and one text is divided as a run divides it") {
  const Scratch scratch;
  CHECK(run({"overlap", "grammar"}).code == 0);
  std::string text;
  for (int i = 0; i < 100; ++i) text += "paragraph number " + std::to_string(i) + "\n\n";
  write(scratch / "a.txt", text);
  CHECK(run({"overlap", scratch / "a.txt"}).code == 0);
  for (int i = 0; i < 100; ++i) text += "paragraph number " + std::to_string(i) + "\n\n";
  write(scratch / "a.txt", text);
  CHECK(found({"overlap", scratch / "a.txt"}).at("identical_documents").as_int() > 0);
}

TEST_CASE("control characters of a shared text do not reach the terminal") {
  const Scratch scratch;
  write(scratch / "a.txt", "\x1b[2J" + kPlanted);
  write(scratch / "b.txt", "\x1b[2J" + kPlanted);
  CHECK(run({"overlap", scratch / "a.txt", scratch / "b.txt"}).out.find('\x1b') == std::string::npos);
}

TEST_CASE("what cannot be compared is refused with exit code 2") {
  const Scratch scratch;
  write(scratch / "a.txt", "text");
  write(scratch / "bad.txt", "caf\xE9");
  write(scratch / "bad.jsonl", "{\"text\": 7}\n");
  write(scratch / "bad.bin", "not a shard");
  write_tokens(scratch / "x_train_0.bin", {1, 2, 3});
  std::filesystem::create_directory(scratch / "empty");
  check_refused({"overlap"}, {"TRAIN"});
  check_refused({"overlap", scratch / "x_train_0.bin"}, {"VAL", "x_train_0.bin"});
  check_refused({"overlap", scratch / "no.txt", scratch / "a.txt"}, {"no.txt"});
  check_refused({"overlap", scratch / "no.bin", scratch / "a.txt"}, {"no.bin"});
  check_refused({"overlap", scratch / "bad.txt", scratch / "a.txt"}, {"bad.txt", "offset 3"});
  check_refused({"overlap", scratch / "a.txt", scratch / "bad.jsonl"}, {"bad.jsonl", "line 1"});
  check_refused({"overlap", scratch / "bad.bin", scratch / "bad.bin"}, {"bad.bin", "header"});
  check_refused({"overlap", scratch / "empty"}, {"empty", "_train_"});
  check_refused({"overlap", scratch / "x_train_0.bin", scratch / "a.txt"}, {"--tokenizer", "x_train_0.bin"});
  check_refused({"overlap", scratch / "a.txt", scratch / "a.txt", "--ngram", "1"}, {"--ngram", "found 1"});
  check_refused({"overlap", scratch / "a.txt", scratch / "a.txt", "--ngram", "many"}, {"--ngram"});
  check_refused({"overlap", scratch / "a.txt", scratch / "a.txt", "--longest", "-1"}, {"--longest"});
  check_refused({"overlap", scratch / "x_train_0.bin", scratch / "a.txt", "--tokenizer", scratch / "a.txt"}, {"a.txt"});
}
