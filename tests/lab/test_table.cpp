#include <doctest/doctest.h>

#include <algorithm>
#include <sstream>
#include <string>

#include "assay/lab/table.h"

using assay::core::Value;
using namespace assay::lab;

namespace {

Value results(int64_t seeds, int64_t arms) {
  std::string text =
      R"({"name": "demo", "question": "Does it help?", "control": "gpt2", "metric": "val_loss", "rule": "fixed", "tokens": 1000,
      "seeds": [], "members": [], "arms": [{"name": "gpt2", "n": 2, "mean": 2.5, "sd": 0.125, "differences": [], "mean_difference": null,
      "interval": null, "p_value": null, "verdict": "control"}], "done": 2, "failed": 1, "unfinished": 0})";
  Value v = assay::core::parse_json(text, "test");
  for (int64_t s = 1; s <= seeds; ++s) v["seeds"].push_back(s);
  for (int64_t a = 1; a <= arms; ++a) {
    Value arm = assay::core::parse_json(R"({"n": 2, "mean": 2.25, "sd": null, "differences": [{"seed": 1, "difference": 0.25},
        {"seed": 2, "difference": -0.125}], "mean_difference": 0.0625, "interval": [-2.32, 2.445], "p_value": 0.79, "level": 0.95,
        "verdict": "undecided", "sentence": "Not decided after 2 paired seeds."})",
                                        "test");
    arm["name"] = "arm" + std::to_string(a);
    v["arms"].push_back(arm);
  }
  return v;
}

Value failed_member(const std::string& error) {
  return assay::core::parse_json(
      R"({"arm": "arm1", "seed": 3, "status": "failed", "tokens": 0, "seconds": 1.0, "error": )" + assay::core::to_json(error) + "}",
      "test");
}

size_t longest_line(const std::string& text) {
  std::istringstream in(text);
  size_t longest = 0;
  for (std::string line; std::getline(in, line);) longest = std::max(longest, line.size());
  return longest;
}

// Runs of spaces as one, so that the columns' widths do not matter.
std::string squeezed(const std::string& text) {
  std::string out;
  for (char c : text)
    if (c != ' ' || out.empty() || out.back() != ' ') out += c;
  return out;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("the table shows each seed's difference, their mean, interval and number") {
  const std::string text = squeezed(render(results(3, 1), {}));
  INFO(text);
  CHECK(has(text, "demo: Does it help?"));
  CHECK(has(text, "gpt2 - arm (positive: the arm is better)"));
  for (const char* row : {"1 +0.2500", "2 -0.1250", "mean +0.0625", "interval [-2.3200, +2.4450]", "its level 95 %", "p 0.79", "pairs 2"})
    CHECK(has(text, "\n" + std::string(row) + "\n"));
}

TEST_CASE("the table says what the rule promises: fixed tests, or looks after every seed and what they saved") {
  Value v = results(3, 1);
  CHECK(has(render(v, {.width = 1000}), "Tests for a fixed n: they mean what they say for the 3 seeds that the recipe fixed beforehand"));
  v["rule"] = "sequential";
  v["not_needed"] = int64_t{2};
  v["design"] = Value::object();
  v["design"]["alpha"] = 0.05;
  v["members"].push_back(failed_member("x"));
  const std::string text = render(v, {.width = 1000});
  CHECK(has(text, "the expected share of false ones is at most 0.05"));
  CHECK(has(text, "2 of 1 trainings were not needed"));
}

TEST_CASE("verdict sentences come first, with reference lines below the arms") {
  Value v = results(3, 1);
  v["references"] = assay::core::parse_json(R"([{"name": "entropy", "kind": "entropy", "value": 1.25}, {"name": "ngram:5", "kind": "ngram",
      "value": 2.5}])",
                                            "test");
  const std::string text = render(v, {.width = 1000});
  CHECK(text.find("arm1: undecided  Not decided after 2 paired seeds.") < text.find("verdict"));
  CHECK(has(text, "For comparison: entropy of the text 1.2500, ngram:5 2.5000"));
}

TEST_CASE("an arm without two pairs has dashes for its interval") {
  Value v = results(1, 1);
  v["arms"].as_array()[1]["interval"] = Value();
  v["arms"].as_array()[1]["p_value"] = Value();
  CHECK(has(squeezed(render(v, {})), "\ninterval -\n"));
}

TEST_CASE("the control alone gives no differences and no words about them") {
  const std::string text = render(results(3, 0), {});
  CHECK(has(text, "gpt2"));
  CHECK_FALSE(has(text, "Paired differences"));
  CHECK_FALSE(has(text, "Tests for a fixed n"));
}

TEST_CASE("failed members are rows with their reason, made printable") {
  Value v = results(3, 1);
  v["members"].push_back(failed_member("[train] bad \x1b[31mtext"));
  const std::string text = render(v, {});
  CHECK(has(text, "Not in the figures"));
  CHECK(has(text, "arm1, seed 3: failed: [train] bad \\x1B[31mtext"));
  CHECK_FALSE(has(text, "\x1b"));
}

TEST_CASE("no line is wider than the page, whatever the number of arms") {
  for (size_t width : {40u, 60u, 80u, 200u}) {
    Value v = results(12, 9);
    v["members"].push_back(
        failed_member("a reason of many words that goes on and on and on and on until the line must be broken somewhere"));
    const std::string text = render(v, {.width = width});
    CHECK(longest_line(text) <= width);
    CHECK(has(text, "arm9"));
  }
}

TEST_CASE("colour is used on request only") {
  CHECK(has(render(results(2, 1), {.width = 80, .colour = true}), "\033[1m"));
  CHECK_FALSE(has(render(results(2, 1), {.width = 80, .colour = false}), "\033"));
}
