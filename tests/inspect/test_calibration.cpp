#include <ATen/ops/log_softmax.h>
#include <ATen/ops/one_hot.h>
#include <doctest/doctest.h>

#include <cmath>

#include "assay/core/error.h"
#include "assay/core/random.h"
#include "assay/data/loader.h"
#include "assay/inspect/calibration.h"

using namespace assay;

namespace {

constexpr int64_t kPositions = 6000, kClasses = 5;

struct Drawn {
  Tensor logits, targets;
};

// Targets drawn from softmax(logits): confidence and hits agree.
Drawn calibrated() {
  const core::Stream noise(1, "logits"), draw(1, "targets");
  Drawn d{at::empty({kPositions, kClasses}, at::TensorOptions().dtype(at::kDouble)),
          at::empty({kPositions}, at::TensorOptions().dtype(at::kLong))};
  double* z = d.logits.data_ptr<double>();
  for (int64_t i = 0; i < d.logits.numel(); ++i) z[i] = 1.5 * noise.normal(static_cast<uint64_t>(i));
  const Tensor p = at::log_softmax(d.logits, -1).exp();
  for (int64_t i = 0; i < kPositions; ++i) {
    double left = draw.uniform(static_cast<uint64_t>(i));
    int64_t c = 0;
    while (c + 1 < kClasses && (left -= p.const_data_ptr<double>()[i * kClasses + c]) > 0) ++c;
    d.targets.data_ptr<int64_t>()[i] = c;
  }
  return d;
}

const inspect::Calibration& of(const std::vector<inspect::Calibration>& all, const std::string& name, bool tuned) {
  for (const auto& c : all)
    if (c.probabilities == name && c.tuned == tuned) return c;
  throw std::runtime_error(name);
}

}  // namespace

TEST_CASE("targets drawn from the softmax of the logits are calibrated at temperature 1, and of three times the logits at 3") {
  const Drawn d = calibrated();
  const auto right = inspect::calibrations(d.logits, d.targets), sharp = inspect::calibrations(d.logits * 3, d.targets);
  const auto &plain = of(right, "softmax", false), &over = of(sharp, "softmax", false), &mended = of(sharp, "softmax", true);
  CHECK(plain.calibration_error < 0.04);
  CHECK(plain.confidence == doctest::Approx(plain.accuracy).epsilon(0.04));
  CHECK(of(right, "softmax", true).temperature == doctest::Approx(1).epsilon(0.08));
  CHECK(over.calibration_error > 0.15);
  CHECK(over.confidence > over.accuracy + 0.15);
  CHECK(mended.temperature == doctest::Approx(3 * of(right, "softmax", true).temperature).epsilon(1e-3));
  CHECK(mended.nll == doctest::Approx(of(right, "softmax", true).nll).epsilon(1e-6));
  CHECK(mended.nll < over.nll);
  CHECK(mended.brier < over.brier);
  CHECK(over.accuracy == plain.accuracy);
}

TEST_CASE("ShiftMax has the hits of softmax, is never more confident at one temperature, and climbs towards it with k") {
  const Drawn d = calibrated();
  const auto all = inspect::calibrations(d.logits, d.targets);
  double before = 0;
  for (const char* name : {"shiftmax k=1", "shiftmax k=2", "shiftmax k=4", "softmax"}) {
    const auto& c = of(all, name, false);
    CHECK(c.accuracy == of(all, "softmax", false).accuracy);
    CHECK(c.confidence > before);
    before = c.confidence;
    CHECK(of(all, name, true).nll <= c.nll + 1e-3);
  }
}

TEST_CASE("figures of one position by hand; too few are refused") {
  const Tensor logits = at::zeros({4, 2}, at::TensorOptions().dtype(at::kDouble)),
               targets = at::zeros({4}, at::TensorOptions().dtype(at::kLong));
  const auto all = inspect::calibrations(logits, targets);
  const auto& c = of(all, "softmax", false);
  CHECK(c.accuracy == 1);  // the first of two equal ones
  CHECK(c.confidence == doctest::Approx(0.5));
  CHECK(c.calibration_error == doctest::Approx(0.5));
  CHECK(c.nll == doctest::Approx(std::log(2.0)));
  CHECK(c.brier == doctest::Approx(0.5));
  CHECK_THROWS_WITH_AS(inspect::calibrations(logits.narrow(0, 0, 3), targets.narrow(0, 0, 3)), doctest::Contains("at least 4 positions"),
                       core::ConfigError);
}

TEST_CASE("a temperature far from 1 is found, and where the likelihood only gains towards an end of the search that is said") {
  const Drawn d = calibrated();
  const auto right = inspect::calibrations(d.logits, d.targets), small = inspect::calibrations(d.logits * 1e-5, d.targets);
  for (const char* name : {"softmax", "shiftmax k=1", "shiftmax k=4"}) {
    INFO(name);
    CHECK(of(small, name, true).temperature == doctest::Approx(1e-5 * of(right, name, true).temperature).epsilon(1e-3));
    CHECK(of(small, name, true).nll == doctest::Approx(of(right, name, true).nll).epsilon(1e-6));
    CHECK_FALSE(of(small, name, true).at_limit);
    CHECK_FALSE(of(small, name, false).at_limit);
  }
  // Logits that point away from the target: nothing is better than no opinion. Logits that are always right: nothing is better than certainty.
  const Tensor against = -at::one_hot(d.targets, kClasses).to(at::kDouble);
  for (const Tensor& z : {against, -against})
    for (const auto& c : inspect::calibrations(z, d.targets)) {
      INFO(c.probabilities);
      CHECK(c.at_limit == c.tuned);
    }
  CHECK(inspect::to_text(inspect::calibrations(against, d.targets)).find("! nothing is gained") != std::string::npos);
}

TEST_CASE("what a classifier's head shuts out is left out: the figures are those of its classes alone") {
  constexpr int64_t kImages = 40, kRow = 4;  // images of one pixel
  const core::Stream draw(3, "images");
  std::vector<uint16_t> tokens;
  for (uint64_t i = 0; i < kImages * kRow; ++i)
    tokens.push_back(static_cast<uint16_t>(i % kRow + 1 == kRow ? 256 + draw.below(i, 10) : draw.below(i, 256)));
  tokens.push_back(0);
  const auto source = data::tokens_in_memory(tokens);
  core::Value options = core::Value::object();
  options["classes"] = int64_t{10};
  options["width"] = int64_t{4};
  const arch::Built b = arch::build(arch::find_architecture("cnn"), options, {266, kRow}, {});
  const auto all = inspect::calibrations(b, {*source, nullptr, nullptr, kRow, 8}, kImages);
  const at::NoGradGuard no_grad;
  const train::Batch batch = train::to_batch(data::validation_rows(*source, kRow, 0, kImages), at::Device(at::kCPU));
  const auto classes =
      inspect::calibrations(b.model->forward(batch.ids_BT).select(1, 2).narrow(1, 256, 10), batch.targets_BT.select(1, 2) - 256);
  for (const char* name : {"softmax", "shiftmax k=1", "shiftmax k=4"}) {
    INFO(name);
    CHECK(of(all, name, false).accuracy == of(classes, name, false).accuracy);
    CHECK(of(all, name, false).nll == doctest::Approx(of(classes, name, false).nll).epsilon(1e-5));
    CHECK(of(all, name, false).confidence == doctest::Approx(of(classes, name, false).confidence).epsilon(1e-5));
  }
}
