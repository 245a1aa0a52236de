#include <doctest/doctest.h>

#include "cli/command.h"
#include "results/run_files.h"

using namespace assay;
using namespace assay::test;

namespace {

struct Pair : Scratch {
  std::string a = *this / "a", b = *this / "b";
  Pair() {
    write_run(a, summary("gpt2", 1, 2.5), 0.01);
    write_run(b, summary("v8", 1, 2.25), 0.003);
    write_text(a + "/validation.json", R"({"piece": "document", "piece_tokens": [10, 20, 5], "piece_nats": [25, 52, 12.0], "step": 100})");
    write_text(b + "/validation.json", R"({"piece": "document", "piece_tokens": [10, 20, 5], "piece_nats": [22, 44, 12.5], "step": 100})");
  }
};

}  // namespace

TEST_CASE("compare prints what differs, the losses and the paired difference, and that it is no verdict") {
  const Pair pair;
  const Ran r = ran(&cli::run_compare, {pair.a, pair.b});
  CHECK(r.code == 0);
  for (const char* part :
       {"optim.lr", "0.003", "val_loss", "+0.25", "same 3 validation documents (35 tokens), a - b: +0.3 nats a token",
        "standard error over documents 0.0989743", "positive: b has the lower loss", "one seed each", "no verdict about architectures"})
    CHECK_MESSAGE(contains(r.out, part), part << " in\n" << r.out);
}

TEST_CASE("compare's JSON document has the keys that the manual names") {
  const Pair pair;
  const core::Value v = json_of(&cli::run_compare, {pair.a, pair.b});
  CHECK(keys_of(v) == std::vector<std::string>{"a", "b", "differences", "losses", "cautions", "paired", "paired_reason"});
  CHECK(keys_of(v.at("paired")) ==
        std::vector<std::string>{"piece", "pieces", "tokens", "a_loss", "b_loss", "difference", "standard_error", "meaning"});
}

TEST_CASE("compare cautions against runs whose products another library computed") {
  const Pair pair;
  CHECK(json_of(&cli::run_compare, {pair.a, pair.b}).at("cautions").size() == 0);
  results::Summary s = summary("v8", 1, 2.25);
  s.product_backend = "mixed";
  results::write_summary(pair.b, s);
  const core::Value cautions = json_of(&cli::run_compare, {pair.a, pair.b}).at("cautions");
  REQUIRE(cautions.size() == 1);
  CHECK(contains(cautions.as_array()[0].as_string(), "products by aten and mixed"));
}

TEST_CASE("compare refuses runs on different data with exit 2, and says why pieces are not compared") {
  const Pair pair;
  std::filesystem::remove(pair.b + "/validation.json");
  const Ran without = ran(&cli::run_compare, {pair.a, pair.b});
  CHECK(without.code == 0);
  CHECK(contains(without.out, "No comparison of the validations piece by piece"));
  results::Summary s = summary("v8", 1, 2.25);
  s.data_hash = "other";
  results::write_summary(pair.b, s);
  const Ran r = ran(&cli::run_compare, {pair.a, pair.b});
  CHECK(r.code == 2);
  CHECK(r.out.empty());
  CHECK(contains(r.error, "different data"));
  CHECK(ran(&cli::run_compare, {pair.a}).code == 2);
}
