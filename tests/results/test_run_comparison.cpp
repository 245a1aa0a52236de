#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "assay/core/error.h"
#include "assay/results/run_comparison.h"
#include "results/run_files.h"

using namespace assay;
using namespace assay::results;
using namespace assay::test;

namespace {

void write_validation(const std::string& directory, const std::vector<ScoredPiece>& pieces, int64_t step = 100,
                      const std::string& kind = "document") {
  core::Value v = core::Value::object();
  v["piece"] = kind;
  v["step"] = step;
  v["piece_tokens"] = v["piece_nats"] = core::Value::array();
  for (const ScoredPiece& p : pieces) {
    v["piece_tokens"].push_back(p.tokens);
    v["piece_nats"].push_back(p.nats);
  }
  write_text(directory + "/validation.json", core::to_json(v));
}

struct Pair : Scratch {
  std::string a = *this / "a", b = *this / "b";
  Pair() {
    write_run(a, summary("gpt2", 1, 2.5), 0.01);
    write_run(b, summary("v8", 1, 2.25), 0.003);
    write_validation(a, {{10, 25}, {20, 52}, {5, 12}});
    write_validation(b, {{10, 22}, {20, 44}, {5, 12.5}});
  }
};

}  // namespace

TEST_CASE("pieces of one length give the mean of the differences and its usual standard error") {
  const std::vector<ScoredPiece> a = {{4, 8}, {4, 10}, {4, 9}, {4, 12}}, b = {{4, 7}, {4, 10.5}, {4, 7}, {4, 10}};
  const PieceDifference d = piece_difference(a, b);
  // differences 1, -0.5, 2, 2: mean 1.125, sample variance (0.015625 + 2.640625 + 0.765625 + 0.765625) / 3
  CHECK(d.pieces == 4);
  CHECK(d.tokens == 16);
  CHECK(d.difference == doctest::Approx(1.125 / 4).epsilon(1e-14));
  CHECK(*d.standard_error == doctest::Approx(std::sqrt(4.1875 / 3 / 4) / 4).epsilon(1e-14));
  CHECK(d.a_loss == doctest::Approx(39.0 / 16));
  CHECK(d.b_loss == doctest::Approx(34.5 / 16));
}

TEST_CASE("pieces of different lengths count by their tokens") {
  // D = 3, 8, -0.5; n = 10, 20, 5; d = 10.5 / 35 = 0.3; residuals 0, 2, -2
  const PieceDifference d =
      piece_difference(std::vector<ScoredPiece>{{10, 25}, {20, 52}, {5, 12}}, std::vector<ScoredPiece>{{10, 22}, {20, 44}, {5, 12.5}});
  CHECK(d.difference == doctest::Approx(0.3).epsilon(1e-14));
  CHECK(*d.standard_error == doctest::Approx(std::sqrt(1.5 * 8) / 35).epsilon(1e-14));
}

TEST_CASE("one piece has no standard error; pieces that do not match are refused") {
  const std::vector<ScoredPiece> one = {{4, 8}}, other = {{5, 8}}, two = {{4, 8}, {4, 8}}, none, bad = {{4, std::nan("")}};
  CHECK_FALSE(piece_difference(one, one).standard_error);
  CHECK_THROWS_WITH_AS(piece_difference(one, other), doctest::Contains("piece 1 of the validation has 4 and 5 tokens"), core::DataError);
  CHECK_THROWS_AS(piece_difference(one, two), core::DataError);
  CHECK_THROWS_AS(piece_difference(none, none), core::DataError);
  CHECK_THROWS_AS(piece_difference(one, bad), core::DataError);
}

TEST_CASE("two runs are put beside each other: configuration, losses, validation by document") {
  const Pair pair;
  const core::Value v = compare_runs(pair.a, pair.b);
  CHECK(v.at("a").at("path").as_string() == pair.a);
  CHECK(v.at("b").at("arch").as_string() == "v8");
  REQUIRE(v.at("differences").size() == 2);
  CHECK(v.at("differences").as_array()[0].at("option").as_string() == "arch");
  CHECK(v.at("differences").as_array()[1].at("option").as_string() == "optim.lr");
  CHECK(v.at("losses").at("val_loss").at("difference") == core::Value(0.25));
  CHECK(v.at("losses").at("val_bits_per_byte").at("difference").is_null());
  CHECK(v.at("paired").at("piece").as_string() == "document");
  CHECK(v.at("paired").at("pieces") == core::Value(3));
  CHECK(v.at("paired").at("difference").as_double() == doctest::Approx(0.3));
  CHECK(contains(v.at("paired").at("meaning").as_string(), "one seed each"));
  CHECK(contains(v.at("paired").at("meaning").as_string(), "no verdict about architectures"));
  CHECK(v.at("paired_reason").as_string().empty());
  CHECK(v.at("cautions").size() == 0);
}

TEST_CASE("runs on different data are refused with both hashes") {
  const Pair pair;
  Summary s = summary("v8", 1, 2.25);
  s.data_hash = "0badf00d";
  write_summary(pair.b, s);
  const std::string said = refusal<core::DataError>([&] { compare_runs(pair.a, pair.b); });
  CHECK(contains(said, "feedbeef"));
  CHECK(contains(said, "0badf00d"));
  s.data_hash = "";
  write_summary(pair.b, s);
  const core::Value v = compare_runs(pair.a, pair.b);
  CHECK(v.at("paired").is_null());
  CHECK(contains(v.at("paired_reason").as_string(), "data of both runs must be known"));
  CHECK(v.at("cautions").size() == 1);
}

TEST_CASE("what rules out the comparison by pieces is its reason, and the rest stands") {
  const Pair pair;
  const auto reason = [&] {
    const core::Value v = compare_runs(pair.a, pair.b);
    CHECK(v.at("paired").is_null());
    CHECK(v.at("losses").at("val_loss").at("difference") == core::Value(0.25));
    return v.at("paired_reason").as_string();
  };
  write_validation(pair.b, {{10, 22}, {20, 44}});
  CHECK(contains(reason(), "3 and 2 pieces"));
  write_validation(pair.b, {{10, 22}, {20, 44}, {5, 12.5}}, 90);
  CHECK(contains(reason(), "is of step 90, and the run ended at step 100"));
  write_validation(pair.b, {{10, 22}, {20, 44}, {5, 12.5}}, 100, "window");
  CHECK(contains(reason(), "by document, the other by window"));
  write_validation(pair.b, {{10, std::nan("")}, {20, 44}, {5, 12.5}});
  CHECK(contains(reason(), "piece 1 has no loss"));
  write_text(pair.b + "/validation.json", "{");
  CHECK(contains(reason(), "validation.json"));
  std::filesystem::remove(pair.b + "/validation.json");
  CHECK(contains(reason(), "there is none"));
}

TEST_CASE("a leak, an unfinished budget, other seeds are cautions; a run that has not ended is refused") {
  const Pair pair;
  Summary s = summary("v8", 2, 2.25);
  s.tokens = 50000;
  s.status = "interrupted";
  s.entropy = {100, 10, 250};
  write_summary(pair.b, s);
  const core::Value v = compare_runs(pair.a, pair.b);
  REQUIRE(v.at("cautions").size() == 4);
  CHECK(contains(v.at("cautions").as_array()[0].as_string(), "below the entropy"));
  std::filesystem::remove(pair.b + "/summary.json");
  CHECK_THROWS_WITH_AS(compare_runs(pair.a, pair.b), doctest::Contains("has ended"), core::DataError);
  CHECK_THROWS_WITH_AS(compare_runs(pair.a, pair / "absent"), doctest::Contains("absent"), core::DataError);
}
