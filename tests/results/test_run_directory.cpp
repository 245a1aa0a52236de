#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

#include "assay/core/error.h"
#include "assay/results/run_directory.h"
#include "results/run_files.h"

using assay::core::DataError;
using assay::core::Value;
using namespace assay::results;
using assay::test::Scratch;
using assay::test::write_text;

namespace {

Summary example() {
  Summary s;
  s.arch = "gpt2";
  s.name = "gpt2-s1";
  s.seed = 7;
  s.fingerprint = "0123456789abcdef";
  s.steps = 100;
  s.tokens = 102400;
  s.val_loss = 2.0 / 3.0;
  s.seconds = 1.5;
  s.product_backend = "aten";
  s.step = "recorded";
  s.entropy = {100, 250.5, 240.25};
  return s;
}

}  // namespace

TEST_CASE("a summary reads back as it was written, with null for what was not measured") {
  const Scratch dir;
  write_summary(dir.path(), example());
  const auto s = read_summary(dir.path());
  REQUIRE(s);
  CHECK(s->to_value() == example().to_value());
  CHECK(s->val_loss == 2.0 / 3.0);
  CHECK_FALSE(s->train_loss);
  CHECK(s->to_value().at("train_loss").is_null());
}

TEST_CASE("a loss that is not finite is stored as not measured") {
  const Scratch dir;
  Summary s = example();
  s.val_loss = std::numeric_limits<double>::infinity();
  write_summary(dir.path(), s);
  CHECK_FALSE(read_summary(dir.path())->val_loss);
}

TEST_CASE("a directory without a summary belongs to a run that has not ended") {
  const Scratch dir;
  CHECK_FALSE(read_summary(dir.path()));
  CHECK_FALSE(read_summary(dir / "absent"));
}

TEST_CASE("every field of a summary is wanted, by name and kind") {
  const Value whole = example().to_value();
  for (const auto& [key, value] : whole.as_object()) {
    Value without = whole;
    without.erase(key);
    const std::string name = "'" + key + "'";
    // Summaries of older runs do not say these.
    if (key == "step") CHECK(Summary::from_value(without).step.empty());
    else if (key == "accuracy") CHECK_FALSE(Summary::from_value(without).accuracy.has_value());
    else CHECK_THROWS_WITH_AS(Summary::from_value(without), doctest::Contains(name.c_str()), DataError);
    Value other = whole;
    other[key] = Value::array();
    CHECK_THROWS_WITH_AS(Summary::from_value(other), doctest::Contains(name.c_str()), DataError);
  }
}

TEST_CASE("a status that is none of the three, and text that is no object, are refused with the file's name") {
  const Scratch dir;
  Value v = example().to_value();
  v["status"] = "fine\x1b[31m";
  write_text(dir / "summary.json", assay::core::to_json(v));
  CHECK_THROWS_WITH_AS(read_summary(dir.path()), doctest::Contains("summary.json: field 'status'"), DataError);
  for (const char* text : {"", "[]", "{", "null", "{\"status\": \"done\"} x"}) {
    write_text(dir / "summary.json", text);
    CHECK_THROWS_WITH_AS(read_summary(dir.path()), doctest::Contains("summary.json"), DataError);
  }
}

TEST_CASE("a directory in the place of summary.json is an error") {
  const Scratch dir;
  std::filesystem::create_directory(dir / "summary.json");
  CHECK_THROWS_AS(read_summary(dir.path()), DataError);
}

TEST_CASE("metrics are read line by line; a last line without its end is left out") {
  const Scratch dir;
  write_text(dir / "metrics.jsonl",
             "{\"step\": 1, \"kind\": \"train\", \"loss\": 2.5}\n{\"step\": 2, \"kind\": \"val\"}\n{\"step\": 3, \"ki");
  const auto lines = read_metrics(dir.path());
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].at("loss").as_double() == 2.5);
  CHECK(last_metrics(dir.path()) == lines[1]);
}

TEST_CASE("a damaged line of metrics names its number") {
  const Scratch dir;
  write_text(dir / "metrics.jsonl", "{\"step\": 1, \"kind\": \"train\"}\n{\"step\": \"two\", \"kind\": \"train\"}\n");
  CHECK_THROWS_WITH_AS(read_metrics(dir.path()), doctest::Contains("line 2: field 'step'"), DataError);
  write_text(dir / "metrics.jsonl", "\n");
  CHECK_THROWS_AS(read_metrics(dir.path()), DataError);
}

TEST_CASE("the last line of metrics is found in a long file, and is null without one") {
  const Scratch dir;
  CHECK(last_metrics(dir.path()).is_null());
  write_text(dir / "metrics.jsonl", "");
  CHECK(last_metrics(dir.path()).is_null());
  std::string text;
  for (int i = 1; i <= 9000; ++i) text += "{\"step\": " + std::to_string(i) + ", \"kind\": \"train\"}\n";
  write_text(dir / "metrics.jsonl", text);
  CHECK(last_metrics(dir.path()).at("step").as_int() == 9000);
  CHECK(read_metrics(dir.path()).size() == 9000);
}

TEST_CASE("the tail of a file is its last bytes") {
  const Scratch dir;
  write_text(dir / "text", "0123456789");
  CHECK(tail_of(dir / "text", 3) == "789");
  CHECK(tail_of(dir / "text", 30) == "0123456789");
  CHECK(tail_of(dir / "absent", 3) == "");
}

TEST_CASE("a run has checkpoints where the folder holds something") {
  const Scratch dir;
  CHECK_FALSE(has_checkpoints(dir.path()));
  std::filesystem::create_directories(dir / "checkpoints");
  CHECK_FALSE(has_checkpoints(dir.path()));
  std::filesystem::create_directories(dir / "checkpoints/step-10");
  CHECK(has_checkpoints(dir.path()));
}

TEST_CASE("the environment says what ran where") {
  const Value v = environment("0.1.0", "2.11.0");
  CHECK(v.at("version").as_string() == "0.1.0");
  CHECK(v.at("torch").as_string() == "2.11.0");
  CHECK(v.at("processor").at("cores").as_int() == usable_cores());
  CHECK(usable_cores() >= 1);
  CHECK(v.at("processor").at("memory_bytes").as_int() > 0);
  CHECK(v.at("system").at("system").as_string() == "Linux");
}
