// A plain convolutional classifier of images that are given as rows of tokens (red, green and blue levels line by line, then the class). Only
// the position that ends the image depends on it; every other one says the head's bias.
// Source: stands in for the two unpublished networks of the gradient-conditioning report, 1M parameters each; the layers are ordinary ones.
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "assay/arch/architecture.h"
#include "assay/core/error.h"
#include "assay/layers/embedding.h"
#include "assay/layers/loss.h"

namespace assay::arch::image {
namespace {

constexpr int64_t kLevels = 256, kPlanes = 3, kTaps = 9;
constexpr double kNever = -100;  // logit of an id that is no class

struct Config {
  int64_t vocab_size = 0, image_side = 0, classes = 0, stages = 3, convs = 2, width = 60;

  static const core::Schema& schema() {
    using core::option;
    static const core::Schema s = core::declare<Config>(
        "model",
        {
            option("vocab_size", &Config::vocab_size, "ids: 256 levels, then the classes; 0 = the data's", 0, 65536).env("VOCAB_SIZE"),
            option("image_side", &Config::image_side, "lines and columns of an image; 0 = the largest that fits the sequences", 0, 512),
            option("classes", &Config::classes, "the last ids alone are answers, so many; 0 = every id may be one", 0, 65536),
            option("stages", &Config::stages, "stages; each doubles the width and halves lines and columns", 1, 8),
            option("convs", &Config::convs, "convolutions of a stage", 1, 16),
            option("width", &Config::width, "channels of the first stage", 1, 4096).env("MODEL_DIM"),
        });
    return s;
  }
};

[[noreturn]] void refuse(const std::string& why) { throw core::ConfigError("model", "cnn: " + why); }

// Sizes 0 become the data's and the run's.
Config resolved(const core::Value& options, const Dims& dims) {
  auto c = configure<Config>(options);
  if (c.vocab_size == 0) c.vocab_size = dims.vocab_size;
  const auto fits = static_cast<int64_t>(std::sqrt(static_cast<double>(std::max<int64_t>(dims.seq_len - 1, 0)) / kPlanes) + 1e-9);
  if (c.image_side == 0) c.image_side = fits;
  if (c.image_side < 1 || c.image_side > fits)
    refuse("an image of image_side=" + std::to_string(c.image_side) +
           " and its class are 3 image_side^2 + 1 tokens, and at least 4; sequences of " + std::to_string(dims.seq_len) + " hold none");
  if (c.vocab_size < 2 || dims.vocab_size > c.vocab_size)
    refuse("vocab_size=" + std::to_string(c.vocab_size) + "; wanted at least the " + std::to_string(dims.vocab_size) +
           " of the data and 2");
  if (c.classes > c.vocab_size) refuse("classes=" + std::to_string(c.classes) + " is more than vocab_size=" + std::to_string(c.vocab_size));
  return c;
}

// 3 x 3 neighbours of each place, in the order of the kernel: [B, H, W, 9 C], zeros beyond the edge. Convolutions are products of these, so that
// they are computed, rounded and repeated as every product is.
Tensor neighbours(const Tensor& x_BHWC) {
  const Tensor padded = at::constant_pad_nd(x_BHWC, {0, 0, 1, 1, 1, 1});
  std::vector<Tensor> taps;
  for (int64_t y = 0; y < 3; ++y)
    for (int64_t x = 0; x < 3; ++x) taps.push_back(padded.narrow(1, y, x_BHWC.size(1)).narrow(2, x, x_BHWC.size(2)));
  return at::cat(taps, -1);
}

// The largest of two by two; an odd last line or column is left out. What has one line or column stays.
Tensor pooled(const Tensor& x_BHWC) {
  const int64_t B = x_BHWC.size(0), H = x_BHWC.size(1) / 2, W = x_BHWC.size(2) / 2;
  if (H == 0 || W == 0) return x_BHWC;
  return x_BHWC.narrow(1, 0, 2 * H).narrow(2, 0, 2 * W).reshape({B, H, 2, W, 2, -1}).amax({2, 4});
}

struct Conv {
  Tensor K_O33C, b_O;
};

class Cnn final : public Model {
 public:
  Cnn(const Config& c, tensor::Params& p, tensor::Precision precision)
      : config_(c), precision_(precision), end_(kPlanes * c.image_side * c.image_side) {
    const auto he = [](int64_t fan_in) { return tensor::normal(std::sqrt(2.0 / static_cast<double>(fan_in))); };
    int64_t C = kPlanes;
    for (int64_t s = 0; s < c.stages; ++s)
      for (int64_t i = 0; i < c.convs; ++i) {
        const std::string name = "stages." + std::to_string(s) + ".conv" + std::to_string(i) + ".";
        const int64_t O = c.width << s;
        convs_.push_back({p.add(name + "weight", {O, 3, 3, C}, he(kTaps * C)), p.add(name + "bias", {O}, tensor::constant(0))});
        C = O;
      }
    const int64_t answers = c.classes > 0 ? c.classes : c.vocab_size;
    W_NC_ = p.add("head.weight", {answers, C}, tensor::normal(1 / std::sqrt(static_cast<double>(C))));
    b_N_ = p.add("head.bias", {answers}, tensor::constant(0));
    const auto options = at::TensorOptions().dtype(p.dtype()).device(p.device());
    const int64_t levels = std::min(kLevels, c.vocab_size);
    level_V1_ = at::cat({at::linspace(-1, 2.0 * static_cast<double>(levels - 1) / (kLevels - 1) - 1, levels, options),
                         at::zeros({c.vocab_size - levels}, options)})
                    .unsqueeze(1);
  }

  // x = 2 level / 255 - 1;  stages times: { convs times: x = relu(K * x + b) };  x = max over 2 x 2
  // logits = W mean(x) + b at the image's last level, b elsewhere
  using Model::forward;
  Tensor forward(const Tensor& input, const Observer* observe) override {
    const Tensor x_BT1 = layers::embed(level_V1_, input);
    const int64_t B = input.size(0), T = input.size(1);
    if (observe != nullptr) (*observe)("embed", x_BT1);
    Tensor f_BC;
    if (T >= end_) f_BC = features(x_BT1, T, observe);
    else if (observe != nullptr) no_features(x_BT1, observe);
    const Tensor prior_1N = b_N_.unsqueeze(0);
    const auto silent = [&](int64_t positions) { return answers(prior_1N).expand({B, positions, -1}); };
    if (T < end_) return silent(T);
    return at::cat({silent(end_ - 1), answers(scores(f_BC)).unsqueeze(1), silent(T - end_)}, 1);
  }

  // Training looks at the answer alone, so the logits of the other positions are not made.
  Tensor training_loss(const Tensor& ids_BT, const Tensor& targets_BT) override {
    if (ids_BT.size(1) < end_) return loss(forward(ids_BT), targets_BT);
    const Tensor f_BC = features(layers::embed(level_V1_, ids_BT), ids_BT.size(1), nullptr);
    return layers::cross_entropy(answers(scores(f_BC)), targets_BT.select(1, end_ - 1));
  }
  std::pair<int64_t, int64_t> scored(int64_t T) const override {
    return T < end_ ? std::pair<int64_t, int64_t>{0, T} : std::pair{end_ - 1, end_};
  }
  int64_t vocab_size() const override { return config_.vocab_size; }

 private:
  Tensor features(const Tensor& x_BT1, int64_t T, const Observer* observe) const {
    const int64_t side = config_.image_side;
    Tensor x = x_BT1.narrow(1, 0, end_).reshape({-1, kPlanes, side, side}).permute({0, 2, 3, 1});
    for (size_t i = 0; i < convs_.size(); ++i) {
      const Conv& conv = convs_[i];
      x = at::relu(tensor::linear(neighbours(x), conv.K_O33C.view({conv.K_O33C.size(0), -1}), conv.b_O, precision_));
      if ((i + 1) % static_cast<size_t>(config_.convs) != 0) continue;
      x = pooled(x);
      if (observe != nullptr) show(observe, i, x.mean({1, 2}), T);
    }
    const Tensor f_BC = x.mean({1, 2}).to(x_BT1.scalar_type());
    if (observe != nullptr) (*observe)("final", at_the_end(f_BC, T));
    return f_BC;
  }

  // States of sequences: what a stage makes of the image stands where the image ends, zeros elsewhere.
  Tensor at_the_end(const Tensor& f_BC, int64_t T) const { return at::constant_pad_nd(f_BC.unsqueeze(1), {0, 0, end_ - 1, T - end_}); }
  void show(const Observer* observe, size_t conv, const Tensor& f_BC, int64_t T) const {
    (*observe)("stages." + std::to_string(conv / static_cast<size_t>(config_.convs)), at_the_end(f_BC, T));
  }
  void no_features(const Tensor& x_BT1, const Observer* observe) const {
    for (int64_t s = 0; s < config_.stages; ++s)
      (*observe)("stages." + std::to_string(s), at::zeros({x_BT1.size(0), x_BT1.size(1), config_.width << s}, x_BT1.options()));
    (*observe)("final", at::zeros({x_BT1.size(0), x_BT1.size(1), W_NC_.size(1)}, x_BT1.options()));
  }

  Tensor scores(const Tensor& f_BC) const { return tensor::linear(f_BC, W_NC_, b_N_, precision_).to(b_N_.scalar_type()); }
  // [rows, classes] as logits over all ids.
  Tensor answers(const Tensor& scores) const {
    const int64_t others = config_.vocab_size - scores.size(1);
    return others > 0 ? at::constant_pad_nd(scores, {others, 0}, kNever) : scores;
  }

  Config config_;
  tensor::Precision precision_;
  int64_t end_;  // levels of an image
  std::vector<Conv> convs_;
  Tensor W_NC_, b_N_, level_V1_;
};

std::unique_ptr<Model> make(const core::Value& config, const Dims& dims, tensor::Params& params, tensor::Precision precision) {
  return std::make_unique<Cnn>(resolved(config, dims), params, precision);
}

// MACs of an image: 9 H W C O a convolution, N C for the head; spread over the tokens of a row.
Cost cost(const core::Value& options, const Dims& dims) {
  const Config c = resolved(options, dims);
  double macs = 0, saved = 0, C = kPlanes, side = static_cast<double>(c.image_side);
  for (int64_t s = 0; s < c.stages; ++s) {
    for (int64_t i = 0; i < c.convs; ++i) {
      const auto O = static_cast<double>(c.width << s);
      macs += kTaps * side * side * C * O;
      saved += side * side * (kTaps * C + 2 * O);
      C = O;
    }
    side = std::max(1.0, std::floor(side / 2));
  }
  macs += static_cast<double>(c.classes > 0 ? c.classes : c.vocab_size) * C;
  const auto T = static_cast<double>(dims.seq_len);
  return {2 * macs / T, 6 * macs / T, 4 * saved / T};
}

constexpr Preset presets[] = {{"cnn-a", "stages=4 convs=1 width=52 classes=10"}, {"cnn-b", "stages=3 convs=2 width=60 classes=10"}};

}  // namespace

ASSAY_ARCHITECTURE(cnn){
    .name = "cnn",
    .aliases = "",
    .family = "image",
    .mixer = "convolutions over the image of a row, which is all that its last position sees",
    .transform = "relu",
    .summary = "a convolutional classifier of images given as rows of levels and a class; no normalisation, no augmentation",
    .source = "ordinary layers, in place of the unpublished networks of the gradient-conditioning report",
    .equations = "x = 2 level / 255 - 1;  stages times: convs times x = relu(K * x + b), then the largest of 2 x 2\n"
                 "logits = W mean(x) + b at the position of the image's last level, b at every other one",
    .notes = "Published for two CNNs of about 1M parameters whose layers are not given: 38.3 % and 42.9 % of CIFAR-10 after ten epochs, "
             "far below\n"
             "what such networks reach. The presets cnn-a (1.03M) and cnn-b (1.01M) are ours.",
    .presets = presets,
    .schema = &Config::schema,
    .new_config = &new_config<Config>,
    .make = &make,
    .cost = &cost};

}  // namespace assay::arch::image
