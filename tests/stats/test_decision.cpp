#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "assay/core/error.h"
#include "assay/stats/decision.h"
#include "assay/stats/sign_interval.h"
#include "stats/help.h"

using namespace assay::stats;
using assay::core::ConfigError;
using assay::stats::test::normals;

namespace {

const double kNaN = std::numeric_limits<double>::quiet_NaN();

Design design(int64_t arms, int64_t max_seeds = 20) {
  Design d;
  for (int64_t a = 0; a < arms; ++a) d.hypotheses.push_back({"arm" + std::to_string(a), "control"});
  d.max_seeds = max_seeds;
  return d;
}

// Feeds rounds until the decision ends: columns[h] are the differences of hypothesis h, which a control of 0 turns into scores.
void run(Decision& decision, const std::vector<std::vector<double>>& columns) {
  for (size_t i = 0; i < columns[0].size() && decision.running(); ++i) {
    std::vector<Scores> round;
    for (const auto& column : columns) round.push_back({column[i], 0});
    decision.feed(round);
  }
}

// Nearly equal differences: E grows by nearly its fastest without being identical.
std::vector<double> steady(size_t n, double value = 1) {
  std::vector<double> d;
  for (size_t i = 0; i < n; ++i) d.push_back(value * (1 + 0.001 * static_cast<double>(i)));
  return d;
}

std::vector<double> alternating(size_t n, double size = 1) {
  std::vector<double> d;
  for (size_t i = 0; i < n; ++i) d.push_back((i % 2 == 0 ? size : -size) * (1 + 0.01 * static_cast<double>(i)));
  return d;
}

}  // namespace

TEST_CASE("an arm that is clearly better stops as better, one that is worse as worse, at the earliest seed that allows it") {
  for (double sign : {1.0, -1.0}) {
    Decision decision(design(1));
    run(decision, {steady(20, sign)});
    CHECK(!decision.running());
    CHECK(decision.word(0) == (sign > 0 ? Word::better : Word::worse));
    CHECK(decision.seeds(0) == 6);
    CHECK(decision.log_e(0) >= std::log(20));
  }
}

TEST_CASE("feed tells which hypotheses got a word in a round") {
  Decision decision(design(2));
  std::vector<Change> last;
  for (double d : steady(8)) {
    CHECK(last.empty());
    last = decision.feed(std::vector<Scores>{{d, 0}, {decision.rounds() % 2 == 0 ? d : -d, 0}});
    if (!last.empty()) break;
  }
  REQUIRE(last.size() == 1);
  CHECK(last[0].hypothesis == 0);
  CHECK(last[0].word == Word::better);
  CHECK(decision.running());
  CHECK(!decision.running(0));
}

TEST_CASE("the e-value of an arm that has stopped is frozen, and its scores are no longer read") {
  Decision decision(design(2));
  run(decision, {steady(7), alternating(7)});
  REQUIRE(!decision.running(0));
  const double frozen = decision.log_e(0);
  decision.feed(std::vector<Scores>{{kNaN, kNaN}, {1, 0}});
  CHECK(decision.log_e(0) == frozen);
  CHECK(decision.seeds(0) == 7);
  CHECK(decision.seeds(1) == 8);
}

TEST_CASE("nothing is decided before the first look") {
  Design late = design(1);
  late.first_look = 9;
  Decision decision(late);
  run(decision, {steady(20)});
  CHECK(decision.seeds(0) == 9);
  CHECK(decision.word(0) == Word::better);
}

TEST_CASE("an arm without a finding is undecided at max_seeds, and no round is taken after the end") {
  Decision decision(design(1, 10));
  run(decision, {alternating(10)});
  CHECK(decision.word(0) == Word::undecided);
  CHECK(decision.seeds(0) == 10);
  CHECK(decision.record(0).reason == "max_seeds reached");
  CHECK_THROWS_AS(decision.feed(std::vector<Scores>{{1, 0}}), ConfigError);
  Decision other(design(2));
  CHECK_THROWS_AS(other.feed(std::vector<Scores>{{1, 0}}), ConfigError);
}

TEST_CASE("an undecided arm that was stopped is found later, when others lower its threshold") {
  Decision decision(design(2));
  const std::vector<double> d = steady(20);
  for (size_t i = 0; i < 6; ++i) decision.feed(std::vector<Scores>{{d[i], 0}, {i % 2 == 0 ? 1.0 : -1.1, 0}});
  REQUIRE(decision.word(0) == Word::undecided);  // 22 of the 40 that it needs alone
  decision.stop_by_hand(0);
  CHECK(decision.record(0).reason == "stopped by hand");
  const std::vector<double> second = {-1e3, -1e4, -1e5, -1e6, -1e7, -1e8, -1e9, -1e10, -1e11, -1e12};
  for (double v : second)
    if (decision.running()) decision.feed(std::vector<Scores>{{kNaN, kNaN}, {v, 0}});
  CHECK(decision.word(1) == Word::worse);
  CHECK(decision.word(0) == Word::better);
  CHECK(decision.seeds(0) == 6);
  const Verdict verdict = decision.verdicts()[0];
  CHECK(verdict.reason == "after it had stopped, its threshold fell as others were found");
  CHECK(verdict.effect_method.find("as if this number of seeds had been planned") != std::string::npos);
}

TEST_CASE("a difference within the margin is equivalent from five seeds on") {
  Design d = design(1);
  d.hypotheses[0].margin = 1;
  Decision decision(d);
  run(decision, {alternating(20, 0.01)});
  CHECK(decision.word(0) == Word::equivalent);
  CHECK(decision.seeds(0) == 5);
  const Verdict v = decision.verdicts()[0];
  CHECK(v.sentence.rfind("arm0 and control differ by less than 1 nats (e = ", 0) == 0);
  CHECK(v.sentence.find("; interval not yet bounded.") != std::string::npos);
}

TEST_CASE("success goes before equivalence, and its sentence says that the difference is within the margin") {
  Design d = design(1);
  d.hypotheses[0].margin = 100;
  d.first_look = 6;
  Decision decision(d);
  run(decision, {steady(20)});
  CHECK(decision.word(0) == Word::better);
  CHECK(decision.record(0).within_margin);
  CHECK(decision.verdicts()[0].sentence.find("; by less than the margin") != std::string::npos);
}

TEST_CASE("an arm with an escape threshold gets no equivalence") {
  Design d = design(1);
  d.hypotheses[0].margin = 1;
  d.hypotheses[0].escape_threshold = -100;
  Decision decision(d);
  run(decision, {alternating(20, 0.01)});
  CHECK(decision.word(0) == Word::undecided);
}

TEST_CASE("futility stops an arm whose interval excludes the margin from above, when it is asked for") {
  std::vector<double> d = normals(30, 3, -0.25);
  for (double& v : d) v += 0;
  Design asked = design(1, 30), not_asked = design(1, 30);
  asked.hypotheses[0].margin = not_asked.hypotheses[0].margin = 0.6;
  asked.futility = true;
  Decision with(asked), without(not_asked);
  run(with, {d});
  run(without, {d});
  REQUIRE(with.word(0) == Word::undecided);
  CHECK(with.seeds(0) < without.seeds(0));
  CHECK(with.record(0).reason == "an advantage of 0.6 or more is excluded");
  const Interval i = sign_interval(with.record(0).d(), 0.05).value();
  CHECK(i.upper < 0.6);
  CHECK(i.lower <= -0.6);
}

TEST_CASE("differences that are all one value are refused, whatever their e-value") {
  Decision constant(design(1));
  run(constant, {std::vector<double>(20, 0.5)});
  CHECK(constant.word(0) == Word::refused);
  CHECK(constant.seeds(0) == 6);  // where it would have been found
  CHECK(constant.log_e(0) == 0);
  CHECK(constant.verdicts()[0].sentence == "No verdict: the seed has no effect: every difference is the same.");
  Decision zero(design(1, 8));
  run(zero, {std::vector<double>(8, 0.0)});
  CHECK(zero.word(0) == Word::refused);
  CHECK(zero.verdicts()[0].reason == "the arms are the same: every difference is zero");
}

TEST_CASE("a refused hypothesis keeps its place among m and counts as 1") {
  Decision alone(design(1)), beside(design(2));
  beside.refuse(1, "audit failed");
  run(alone, {steady(20)});
  run(beside, {steady(20), steady(20)});
  CHECK(alone.seeds(0) == 6);
  CHECK(beside.seeds(0) == 7);  // needs 40 of two
  CHECK(beside.seeds(1) == 0);
  const Verdict v = beside.verdicts()[1];
  CHECK(v.sentence == "No verdict: audit failed.");
  CHECK(v.p_value == 1);
  CHECK(!v.effect);
}

TEST_CASE("a run that diverged scores the cap; without a cap its hypothesis is refused") {
  Design capped = design(1);
  capped.hypotheses[0].cap = 10;
  Decision decision(capped);
  decision.feed(std::vector<Scores>{{5, kNaN}});
  decision.feed(std::vector<Scores>{{kNaN, kNaN}});
  decision.feed(std::vector<Scores>{{5, 12}});
  CHECK(decision.record(0).d() == std::vector<double>{-5, 0, -5});
  CHECK(decision.record(0).diverged() == 3);
  Decision open(design(1));
  open.feed(std::vector<Scores>{{5, kNaN}});
  CHECK(open.word(0) == Word::refused);
  CHECK(open.record(0).reason == "a score is not finite and the recipe names no cap");
}

TEST_CASE("with a threshold the evidence is the average of mean and escapes, and diverged runs have not escaped") {
  for (bool below : {true, false}) {
    Design d = design(1);
    d.hypotheses[0].escape_threshold = 6.5;
    d.hypotheses[0].escape_below = below;
    d.hypotheses[0].cap = 10;
    Decision decision(d);
    decision.feed(std::vector<Scores>{{7, 6}});
    decision.feed(std::vector<Scores>{{7.1, kNaN}});
    const Record& r = decision.record(0);
    CHECK(r.arm_escaped() == (below ? 1 : 0));
    CHECK(r.control_escaped() == (below ? 0 : 2));
    const LogE expected = averaged(sign_log_e(r.d(), 0), escape_log_e(below ? 1 : 0, below ? 0 : 2));
    CHECK(decision.log_e(0) == doctest::Approx(expected.two_sided).epsilon(1e-14));
  }
}

TEST_CASE("the level of an interval follows the number of findings, and Holm stands beside") {
  Decision decision(design(4));
  run(decision, {steady(20), steady(20, 2), alternating(20), alternating(20, 3)});
  const std::vector<Verdict> v = decision.verdicts();
  CHECK(v[0].word == Word::better);
  CHECK(v[1].word == Word::better);
  for (const Verdict& one : v) {
    CHECK(one.level == doctest::Approx(1 - 0.05 * 2 / 4));
    CHECK(one.level_alone == doctest::Approx(0.95));
    CHECK(one.m == 4);
  }
  CHECK(v[0].p_value == doctest::Approx(std::exp(-decision.log_e(0))));
  CHECK(v[0].p_holm >= v[0].p_value);
  CHECK(v[0].interval.value().lower > 0);
}

TEST_CASE("stopping by hand after one round is no verdict, after more it is undecided") {
  Decision one(design(1)), two(design(1));
  run(one, {{0.5}});
  one.stop_by_hand(0);
  CHECK(one.verdicts()[0].reason == "fewer than 2 rounds");
  run(two, {{0.5, -0.2, 0.3}});
  two.stop_by_hand(0);
  CHECK(two.verdicts()[0].word == Word::undecided);
  CHECK(two.verdicts()[0].sentence.find("Reason: stopped by hand") != std::string::npos);
}

TEST_CASE("the fixed-n tests appear only where their n was run") {
  Design d = design(1, 10);
  d.fixed_n = 10;
  Decision decision(d);
  const std::vector<double> values = normals(10, 8);
  run(decision, {std::vector<double>(values.begin(), values.begin() + 9)});
  CHECK(!decision.verdicts()[0].fixed_n);
  decision.feed(std::vector<Scores>{{values[9], 0}});
  REQUIRE(decision.verdicts()[0].fixed_n);
  CHECK(decision.verdicts()[0].fixed_n->wilcoxon_p_two_sided);
}

TEST_CASE("a verdict never changes its word, whatever comes after") {
  Decision decision(design(3, 30));
  std::vector<Word> words(3, Word::undecided);
  const auto a = normals(30, 1, 1.2), b = normals(30, 2, -0.9), c = normals(30, 3, 0.2);
  for (size_t i = 0; i < 30 && decision.running(); ++i) {
    decision.feed(std::vector<Scores>{{a[i], 0}, {b[i], 0}, {c[i], 0}});
    for (int64_t h = 0; h < 3; ++h) {
      Word& before = words[static_cast<size_t>(h)];
      if (before != Word::undecided) CHECK(decision.word(h) == before);
      before = decision.word(h);
    }
  }
  CHECK(words[0] == Word::better);
}
