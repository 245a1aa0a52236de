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
      R"({"name": "demo", "question": "Does it help?", "control": "gpt2", "metric": "val_loss", "confidence": 0.95, "tokens": 1000,
      "seeds": [], "members": [], "arms": [{"name": "gpt2", "n": 2, "mean": 2.5, "sd": 0.125, "differences": [], "mean_difference": null,
      "interval": null, "p_value": null}], "done": 2, "failed": 1, "unfinished": 0})";
  Value v = assay::core::parse_json(text, "test");
  for (int64_t s = 1; s <= seeds; ++s) v["seeds"].push_back(s);
  for (int64_t a = 1; a <= arms; ++a) {
    Value arm = assay::core::parse_json(R"({"n": 2, "mean": 2.25, "sd": null, "differences": [{"seed": 1, "difference": 0.25},
        {"seed": 2, "difference": -0.125}], "mean_difference": 0.0625, "interval": [-2.32, 2.445], "p_value": 0.79})",
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
  for (const char* row : {"1 +0.2500", "2 -0.1250", "3 -", "mean +0.0625", "95 % interval [-2.3200, +2.4450]", "p 0.79", "pairs 2"})
    CHECK(has(text, "\n" + std::string(row) + "\n"));
}

TEST_CASE("the table says that the interval is for a fixed number of seeds") {
  const std::string text = render(results(3, 1), {.width = 1000});
  CHECK(has(text, "fixed n"));
  CHECK(has(text, "for the 3 seeds that the recipe fixed beforehand"));
  CHECK(has(text, "Fewer than 2 pairs give no interval."));
}

TEST_CASE("an arm without two pairs has dashes for its interval") {
  Value v = results(1, 1);
  v["arms"].as_array()[1]["interval"] = Value();
  v["arms"].as_array()[1]["p_value"] = Value();
  CHECK(has(squeezed(render(v, {})), "95 % interval -\n"));
}

TEST_CASE("the control alone gives no differences and no words about them") {
  const std::string text = render(results(3, 0), {});
  CHECK(has(text, "gpt2"));
  CHECK_FALSE(has(text, "Paired differences"));
  CHECK_FALSE(has(text, "fixed n"));
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
