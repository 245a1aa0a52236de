#include <ATen/ops/allclose.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/roll.h>
#include <ATen/ops/softmax.h>
#include <doctest/doctest.h>

#include "arch/helpers.h"

using namespace assay;
using testing::configured;
using testing::ids;

namespace {

constexpr int64_t kSide = 9, kLevels = 3 * kSide * kSide, kRow = kLevels + 1, kVocab = 266;

arch::Built small(int64_t classes) {
  return testing::random_model("cnn",
                               configured({{"stages", int64_t{3}}, {"convs", int64_t{2}}, {"width", int64_t{3}}, {"classes", classes}}),
                               kVocab, kRow, at::kDouble);
}

Tensor images(int64_t rows) {
  return ids(rows, kRow, [](int64_t r, int64_t t) { return t < kLevels ? (31 * t * t + 7 * t + 101 * r) % 256 : 256 + r % 10; });
}

// By the library's own convolution and pooling.
Tensor by_the_library(const arch::Built& b, const Tensor& ids_BT) {
  const auto weight = [&](const std::string& name) { return b.params->find(name)->value; };
  Tensor x = (ids_BT.narrow(1, 0, kLevels).to(at::kDouble) * (2.0 / 255) - 1).reshape({-1, 3, kSide, kSide});
  for (int s = 0; s < 3; ++s) {
    for (int i = 0; i < 2; ++i) {
      const std::string conv = "stages." + std::to_string(s) + ".conv" + std::to_string(i) + ".";
      x = at::relu(at::conv2d(x, weight(conv + "weight").permute({0, 3, 1, 2}), weight(conv + "bias"), 1, "same"));
    }
    x = at::max_pool2d(x, 2);
  }
  return at::linear(x.mean({2, 3}), weight("head.weight"), weight("head.bias"));
}

}  // namespace

TEST_CASE("cnn: the logits at the image's end are those of the library's convolutions, and the head's bias stands everywhere else") {
  const at::NoGradGuard no_grad;
  const arch::Built b = small(0);
  const Tensor u = images(3), z = b.model->forward(u), bias = b.params->find("head.bias")->value;
  CHECK(z.sizes() == at::IntArrayRef({3, kRow, kVocab}));
  CHECK(at::allclose(z.select(1, kLevels - 1), by_the_library(b, u), 1e-12, 1e-12));
  for (const int64_t t : {int64_t{0}, kLevels - 2, kRow - 1}) CHECK(at::equal(z.select(1, t), bias.expand({3, kVocab})));
  CHECK(at::equal(b.model->forward(u.narrow(1, 0, kLevels)), z.narrow(1, 0, kLevels)));  // the class is not looked at
  CHECK(at::equal(b.model->forward(u.narrow(1, 0, kLevels - 1)), bias.expand({3, kLevels - 1, kVocab})));
  CHECK(b.model->scored(kRow) == std::pair{kLevels - 1, kLevels});
}

TEST_CASE("cnn: with a number of classes the last ids alone are answers, and training looks at the answer alone") {
  const arch::Built b = small(10);
  const Tensor u = images(4), targets = at::roll(u, -1, 1), z = b.model->forward(u);
  CHECK(at::allclose(z.select(1, kLevels - 1).narrow(1, 256, 10), by_the_library(b, u), 1e-12, 1e-12));
  CHECK(at::softmax(z.select(1, kLevels - 1), -1).narrow(1, 0, 256).sum().item().toDouble() < 1e-30);
  const Tensor expected = -at::log_softmax(by_the_library(b, u), -1).gather(1, targets.select(1, kLevels - 1).unsqueeze(1) - 256).mean();
  CHECK(b.model->training_loss(u, targets).item().toDouble() == doctest::Approx(expected.item().toDouble()).epsilon(1e-12));
  CHECK(b.model->loss(z, targets).item().toDouble() == doctest::Approx(expected.item().toDouble()).epsilon(1e-12));
}

TEST_CASE("cnn: the presets have about a million parameters, and sizes that do not fit are refused") {
  for (const char* preset : {"cnn-a", "cnn-b"}) {
    const auto& info = arch::find_architecture("cnn");
    const int64_t n = arch::build(info, arch::preset_options(info, preset), {kVocab, 3073}, {}).params->count();
    INFO(preset << " " << n);
    CHECK(n > 1000000);
    CHECK(n < 1035000);
  }
  const auto refused = [](std::initializer_list<std::pair<const char*, core::Value>> options, int64_t length, const char* what) {
    CHECK_THROWS_WITH_AS(arch::build(arch::find_architecture("cnn"), configured(options), {kVocab, length}, {}), doctest::Contains(what),
                         core::ConfigError);
  };
  refused({}, 3, "sequences of 3 hold none");
  refused({{"image_side", int64_t{32}}}, 3072, "image_side=32");
  refused({{"classes", int64_t{267}}}, 3073, "classes=267 is more than vocab_size=266");
  refused({{"vocab_size", int64_t{100}}}, 3073, "wanted at least the 266");
}
