#include <doctest/doctest.h>

#include <cmath>
#include <sstream>
#include <string>

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/stats/calibrate.h"
#include "assay/stats/measured_rate.h"
#include "assay/stats/power.h"

using namespace assay::stats;
using assay::core::ConfigError;

namespace {

const CalibrationOptions kQuick{400, 7, 2};

}  // namespace

// `limit` is the stated rate with three standard errors of 400 campaigns: 8.3 % at 5 %, 2.5 % at 1 %.
TEST_CASE("identical arms get a false verdict no more often than stated, for every shape of noise, and intervals cover") {
  for (const auto shapes : {symmetric_shapes(), two_mode_shapes()})
    for (const NoiseShape& shape : shapes)
      for (const NullRate& row : null_rates(shape, true, kQuick))
        CHECK_MESSAGE(row.pass,
                      std::string(row.noise + ": false " + std::to_string(row.false_rate) + ", misses " + std::to_string(row.miss_ever)));
}

TEST_CASE("four arms that share a control keep the false-discovery rate, with no, one and three real ones") {
  for (const RunNoise& noise : run_noises())
    for (int64_t real : {0, 1, 3}) {
      const ArmsRate row = arms_rate(noise, real, kQuick);
      CHECK_MESSAGE(row.pass, std::string(row.noise + ": " + std::to_string(row.fdr)));
      if (real > 0) CHECK(row.power > 0.8);
      CHECK(row.interval_misses <= row.limit);
    }
}

TEST_CASE("the truth is in the interval at the stop and at every look, with and without an effect") {
  for (const char* noise : {"Gaussian", "uniform", "two-mode +-1"})
    for (double effect : {0.0, 1.0}) CHECK(coverage(shape_named(noise), effect, true, kQuick).pass);
  CHECK_THROWS_AS(shape_named("pink"), ConfigError);
}

TEST_CASE("a test that is looked at every time errs where the rule does not: the simulation can tell them apart") {
  const NullRate row = null_rates(shape_named("Gaussian"), true, kQuick)[0];
  CHECK(row.repeated_t > 0.2);
  CHECK(null_rates(shape_named("Normal + 20 sd jump in 10 %, centred"), false, kQuick)[0].false_rate > 0.4);
}

TEST_CASE("the rule is not over-cautious: effects of one and two standard deviations need 13.1 and 6.97 seeds on average") {
  const CalibrationOptions options{2000, 1, 2};
  const SeedsToVerdict one = seeds_to_verdict(1, 1, options), two = seeds_to_verdict(2, 1, options);
  CHECK_MESSAGE(one.pass, std::to_string(one.mean));
  CHECK_MESSAGE(two.pass, std::to_string(two.mean));
  CHECK(one.n_fix == 10);
  CHECK(two.n_fix == 5);
}

TEST_CASE("the question whether a gate helps is answered right in at least 95 of 100 repeats") {
  const GateQuestion gate = gate_question({1000, 1, 2});
  CHECK(gate.right >= 0.95);
  CHECK(gate.first_right >= 0.98);
  CHECK(gate.median_seeds == 11);
}

TEST_CASE("a calibration does not depend on the number of threads, and another seed gives other campaigns") {
  const auto text = [](const CalibrationOptions& o) {
    const NullRate r = null_rates(shape_named("Laplace"), true, o)[0];
    return std::to_string(r.false_rate) + " " + std::to_string(r.repeated_t) + " " + std::to_string(seeds_to_verdict(1.5, 2, o).mean);
  };
  CHECK(text({150, 1, 1}) == text({150, 1, 3}));
  CHECK(text({150, 1, 1}) != text({150, 2, 1}));
  CHECK_THROWS_AS(calibrate({0, 1, 1}), ConfigError);
}

TEST_CASE("planned seeds agree with the table of 10,000 campaigns") {
  struct Row {
    double effect, threshold, mean;
  };
  for (const Row& row : {Row{0.6, 20, 30.2}, {1, 20, 13.2}, {1, 80, 17.6}, {1.5, 40, 9.8}, {2, 20, 7.0}, {3, 160, 9.9}}) {
    PowerQuestion q;
    q.effect = row.effect;
    q.log_threshold = std::log(row.threshold);
    q.max_seeds = 100000;
    q.campaigns = 4000;
    q.threads = 2;
    const Power power = simulate_power(q);
    CHECK_MESSAGE(std::abs(power.mean_seeds / row.mean - 1) < 0.05,
                  std::string(std::to_string(row.effect) + ": " + std::to_string(power.mean_seeds)));
    CHECK(power.power + power.wrong == doctest::Approx(1));
  }
}

TEST_CASE("the smallest effect with power 0.8 has that power, and there is none where seeds are too few") {
  PowerQuestion q;
  q.max_seeds = 15;
  const double effect = smallest_effect(q).value();
  q.effect = effect;
  CHECK(simulate_power(q).power == doctest::Approx(0.8).epsilon(0.01));
  q.effect = 0.9 * effect;
  CHECK(simulate_power(q).power < 0.8);
  q.max_seeds = 5;
  CHECK(!smallest_effect(q));
}

TEST_CASE("a margin ends campaigns without an effect, as often as the table says") {
  PowerQuestion q;
  q.effect = 0;
  q.max_seeds = 30;
  q.margin = 1;
  q.campaigns = 2000;
  const Power power = simulate_power(q);
  CHECK(power.equivalent + power.power + power.wrong > 0.95);  // 98 % of 10,000 campaigns
  CHECK(power.power + power.wrong < 0.05);
}

TEST_CASE("the question of a hypothesis is in units of its standard deviation, and a threshold halves its evidence") {
  Design design;
  design.hypotheses = {{"a", "c"}, {"b", "c"}};
  design.hypotheses[0].margin = 0.02;
  design.hypotheses[1].escape_threshold = 6.5;
  const PowerQuestion q = power_question(design, design.hypotheses[0], 0.01, 0.005);
  CHECK(q.effect == doctest::Approx(2));
  CHECK(q.margin.value() == doctest::Approx(4));
  CHECK(q.log_threshold == doctest::Approx(std::log(40)));
  CHECK(power_question(design, design.hypotheses[1], 0.01, 0.005).log_threshold == doctest::Approx(std::log(79)));
  CHECK_THROWS_AS(power_question(design, design.hypotheses[0], 0.01, 0), ConfigError);
}

TEST_CASE("the measured rate that verdicts carry is the largest of the covered shapes in docs/statistics.md") {
  const std::string page = assay::core::read_file(std::string(ASSAY_SOURCE_DIR) + "/docs/statistics.md");
  const size_t start = page.find("| Gaussian | "), end = page.find("| *exponential");
  REQUIRE(start != std::string::npos);
  REQUIRE(end != std::string::npos);
  std::istringstream table(page.substr(start, end - start));
  double at_five = 0, at_one = 0;
  std::string noise_at_five, noise_at_one;
  for (std::string line; std::getline(table, line);) {
    std::istringstream cells(line);
    std::string cell, noise;
    std::getline(cells, cell, '|');
    std::getline(cells, noise, '|');
    const auto keep = [&](double& largest, std::string& name) {
      std::getline(cells, cell, '|');
      if (std::stod(cell) <= largest) return;
      largest = std::stod(cell);
      name = noise.substr(1, noise.size() - 2);
    };
    keep(at_five, noise_at_five);
    keep(at_one, noise_at_one);
  }
  CHECK(measured_rate(0.05).false_rate == doctest::Approx(at_five / 100));
  CHECK(measured_rate(0.05).noise == noise_at_five);
  CHECK(measured_rate(0.01).false_rate == doctest::Approx(at_one / 100));
  CHECK(measured_rate(0.01).noise == noise_at_one);
  CHECK(measured_rate(0.1).stated_rate == 0.05);
  CHECK(measured_rate(0.001).stated_rate == 0.01);
  CHECK(document_of(measured_rate(0.05)).at("campaigns").as_int() == 10000);
}
