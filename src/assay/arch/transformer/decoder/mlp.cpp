#include "assay/arch/transformer/decoder/mlp.h"

#include <ATen/ops/relu.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cmath>

#include "assay/arch/transformer/decoder/component.h"
#include "assay/ops/banded_product/banded_product.h"
#include "assay/ops/gelu/gelu.h"

namespace assay::arch::decoder {
namespace {

// bandwidth 0: the whole matrix.
ops::Band band_of(int64_t out, int64_t in, int64_t bandwidth) { return {out, in, bandwidth > 0 ? bandwidth : 2 * std::max(out, in)}; }

bool masks(const BandConfig& c) { return c.on() && c.band_control != "narrower"; }

int64_t first_rows(const MlpConfig& c, int64_t hidden) { return c.mlp == "swiglu" ? 2 * hidden : hidden; }

}  // namespace

const core::Schema& MlpConfig::schema() {
  using core::option;
  static const core::Schema s = core::declare<MlpConfig>(
      "model", {
                   option("mlp", &MlpConfig::mlp, "transform of a block").one_of({"gelu", "swiglu", "relu2"}),
                   option("mlp_hidden", &MlpConfig::mlp_hidden, "hidden units F; 0 = 4 n_embd, of swiglu 8/3 n_embd", 0, 1 << 20),
                   option("fc2_init_scale", &MlpConfig::fc2_init_scale,
                          "factor on the initial weights of the second matrix; sqrt(density) is the control of a banded one", 0, 100),
               });
  return s;
}

int64_t MlpConfig::hidden(int64_t width, const BandConfig& band) const {
  if (band.on() && band.band_control == "narrower") {
    const int64_t kept = band_of(4 * width, width, band.band_fc1).count() + band_of(width, 4 * width, band.band_fc2).count();
    return std::max<int64_t>(1, (kept + width) / (2 * width));  // nearest to the same number of weights
  }
  if (mlp_hidden > 0) return mlp_hidden;
  return mlp == "swiglu" ? (8 * width / 3 + 7) / 8 * 8 : 4 * width;
}

void MlpConfig::check(const BandConfig& band) const {
  if (band.on() && mlp == "swiglu")
    refuse("a band is defined between n_embd channels and the hidden units of one matrix; mlp=swiglu has two that meet in a product");
  if (band.band_control == "narrower" && mlp_hidden > 0)
    refuse("band_control=narrower and mlp_hidden=" + std::to_string(mlp_hidden) + " both set the width of the MLP; leave one out");
  band.check();
}

Mlp::Layer Mlp::layer(const BandConfig& c, const ops::Band& band, const Builder& b, const std::string& name, double scale) {
  Layer l{{}, {}, {}, band, c.packed()};
  const bool rescaled = c.init_rescale == "row_density";
  if (l.packed) {
    l.weight = b.params.add(name + ".weight", {band.count()}, tensor::normal(0.02 * scale));
    if (b.bias) l.bias = b.params.add(name + ".bias", {band.out}, tensor::uniform(1 / std::sqrt(static_cast<double>(band.in))));
    if (!rescaled) return l;
    const std::vector<int64_t> offsets = band.offsets();
    for (int64_t j = 0; j < band.out; ++j) {
      const int64_t first = offsets[static_cast<size_t>(j)], n = band.row(j).size();
      if (n > 0) l.weight.narrow(0, first, n).mul_(std::sqrt(static_cast<double>(band.in) / static_cast<double>(n)));
    }
    return l;
  }
  const Affine dense = b.linear(name, band.out, band.in, scale);
  l.weight = dense.weight;
  l.bias = dense.bias;
  const Tensor mask = mask_of(band, c.band_control, name).to(dense.weight.scalar_type());
  if (rescaled) l.weight.mul_(at::where(mask > 0, row_rescale(mask).to(mask.scalar_type()).unsqueeze(1), at::Scalar(1.0)));
  if (c.mask_at_init) l.weight.mul_(mask);
  l.mask = mask.to(b.params.device());
  return l;
}

Mlp::Mlp(const MlpConfig& c, const BandConfig& band, int64_t width, const Builder& b, const std::string& name, double out_scale)
    : kind_(c.mlp), precision_(b.precision) {
  const int64_t F = c.hidden(width, band), rows = first_rows(c, F);
  const auto make = [&](const char* part, int64_t out, int64_t in, int64_t bandwidth, double scale) {
    if (masks(band) && bandwidth > 0) return layer(band, {out, in, bandwidth}, b, name + part, scale);
    const Affine dense = b.linear(name + part, out, in, scale);
    return Layer{dense.weight, dense.bias, {}, {}, false};
  };
  fc1_ = make(".fc1", rows, width, band.band_fc1, 1);
  fc2_ = make(".fc2", width, F, band.band_fc2, c.fc2_init_scale * out_scale);
}

Tensor Mlp::apply(const Layer& l, const Tensor& x) const {
  if (!l.packed) return tensor::linear(x, l.weight, l.bias, precision_);
  const bool narrow = x.is_cuda() && x.scalar_type() == at::kBFloat16;  // stays so from product to product
  const Tensor rows = x.reshape({-1, x.size(-1)});
  const Tensor y = ops::banded_product(narrow ? rows : rows.to(l.weight.scalar_type()), l.weight, l.band.out, l.band.bandwidth,
                                       precision_ == tensor::Precision::bf16);
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = l.band.out;
  return (l.bias.defined() ? y + l.bias.to(y.scalar_type()) : y).view(shape);
}

Tensor Mlp::operator()(const Tensor& z_BTC) const {
  const Tensor u = apply(fc1_, z_BTC);
  if (kind_ == "relu2") return apply(fc2_, at::relu(u).square());
  if (kind_ == "swiglu") {
    const int64_t F = u.size(-1) / 2;
    return apply(fc2_, at::silu(u.narrow(-1, 0, F)) * u.narrow(-1, F, F));
  }
  return apply(fc2_, ops::tanh_gelu(u));
}

void Mlp::mask_gradients() {
  for (Layer* l : {&fc1_, &fc2_})
    if (l->mask.defined()) l->weight.mutable_grad().mul_(l->mask);
}

void Mlp::mask_weights() {
  for (Layer* l : {&fc1_, &fc2_})
    if (l->mask.defined()) l->weight.mul_(l->mask);
}

double Mlp::macs(const MlpConfig& c, const BandConfig& band, int64_t width) {
  const int64_t F = c.hidden(width, band);
  const bool masked = masks(band);
  const auto kept = [&](int64_t out, int64_t in, int64_t bandwidth) {
    return static_cast<double>(band_of(out, in, masked ? bandwidth : 0).count());
  };
  return kept(first_rows(c, F), width, band.band_fc1) + kept(width, F, band.band_fc2);
}

namespace {
constexpr Control relu2_controls[] = {{"mlp=gelu", "the nonlinearity at equal weights and products"}};
constexpr Control swiglu_controls[] = {
    {"mlp=gelu", "the gate at equal weights: F = 8C/3 is chosen so"},
    {"mlp=swiglu mlp_hidden=512", "the gate with half again as many weights, at C = 128, as it is sometimes compared"}};
}  // namespace
extern const Component component_relu2, component_swiglu;
constinit const Component component_relu2{
    .name = "relu2",
    .summary = "squared ReLU",
    .place = "the nonlinearity of every MLP",
    .on = "mlp=relu2",
    .options = "mlp mlp_hidden",
    .equations = "W_2 max(W_1 z + b_1, 0)^2 + b_2",
    .cost = "2 C F multiply-adds a token and block, as with GELU",
    .source = "So et al. 2021",
    .claim = "a faster fall of the loss than GELU, found by search",
    .trust = "reproduced at several sizes with small effects; needs seeds at this one",
    .controls = relu2_controls,
};
constinit const Component component_swiglu{
    .name = "swiglu",
    .summary = "an MLP whose hidden units are gated",
    .place = "every MLP; rows of fc1 are the gate G (F), then U (F)",
    .on = "mlp=swiglu",
    .options = "mlp mlp_hidden",
    .equations = "W_2 (silu(G z + b_g) (U z + b_u)) + b_2,  F = 8C/3 rounded up to a multiple of 8",
    .cost = "3 C F multiply-adds a token and block: 8 C^2, as of a 4x MLP",
    .source = "Shazeer 2020",
    .claim = "lower perplexity than GELU at equal parameters",
    .trust = "reproduced widely; the comparison is void where F is left at 4C",
    .controls = swiglu_controls,
};

}  // namespace assay::arch::decoder
