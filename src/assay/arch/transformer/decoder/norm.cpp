#include "assay/arch/transformer/decoder/norm.h"

#include "assay/arch/transformer/decoder/component.h"

namespace assay::arch::decoder {

const core::Schema& NormConfig::schema() {
  using core::option;
  static const core::Schema s = core::declare<NormConfig>(
      "model", {
                   option("norm", &NormConfig::norm, "norm of the blocks and of the end").one_of({"layer", "rms"}),
                   option("norm_eps", &NormConfig::norm_eps, "epsilon of the norms", 0, 1),
               });
  return s;
}

Norm::Norm(const NormConfig& c, const Builder& b, const std::string& name, int64_t n) : config_(c), precision_(b.precision) {
  gain_.weight = b.params.add(name + ".weight", {n}, tensor::constant(1));
  if (c.norm == "layer") gain_.bias = b.params.add(name + ".bias", {n}, tensor::constant(0));
}

ops::Normalized Norm::branch(const Stream& stream) const {
  const ops::AffineNorm norm{
      .eps = config_.norm_eps, .centered = config_.norm == "layer", .bf16 = tensor::keeps_bf16(stream.x, precision_)};
  return stream.branch.defined() ? ops::affine_norm_of_sum(stream.x, stream.branch, gain_.weight, gain_.bias, norm)
                                 : ops::affine_norm(stream.x, gain_.weight, gain_.bias, norm);
}

namespace {
constexpr Control rmsnorm_controls[] = {{"norm=layer", "what the mean and the bias that it leaves out are worth"}};
}
extern const Component component_rmsnorm;
constinit const Component component_rmsnorm{
    .name = "rmsnorm",
    .summary = "norm by the root mean square: no mean, no bias",
    .place = "before each branch of every block, and at the end, in place of LayerNorm",
    .on = "norm=rms",
    .options = "norm norm_eps",
    .equations = "RMS(x) = g x / sqrt(mean x^2 + eps)",
    .cost = "no products; one sum over the channels in place of two",
    .source = "Zhang & Sennrich 2019",
    .claim = "as good as LayerNorm at less time",
    .trust = "reproduced widely at scale; at a fused kernel's speed the time saved is small",
    .controls = rmsnorm_controls,
};

}  // namespace assay::arch::decoder
