#include "assay/arch/transformer/decoder/residual.h"

#include <cmath>

#include "assay/arch/transformer/decoder/component.h"

namespace assay::arch::decoder {
namespace {

double by_depth(int64_t layers) { return 1 / std::sqrt(2 * static_cast<double>(layers)); }

}  // namespace

const core::Schema& ResidualConfig::schema() {
  using core::option;
  static const core::Schema s = core::declare<ResidualConfig>(
      "model",
      {
          option("residual", &ResidualConfig::residual, "how a branch joins the stream").one_of({"plain", "scaled", "gated", "parallel"}),
          option("residual_init", &ResidualConfig::residual_init,
                 "initial weights that write into the stream times 1/sqrt(2 n_layer), which the published baseline leaves out"),
      });
  return s;
}

double ResidualConfig::out_scale(int64_t layers) const { return residual_init ? by_depth(layers) : 1; }

Residual::Residual(const ResidualConfig& c, int64_t layers, int64_t width, const Builder& b, const std::string& name) {
  if (c.residual == "scaled") scale_ = by_depth(layers);
  if (c.residual == "gated") gain_C_ = b.params.add(name, {width}, tensor::constant(1));
}

Stream Residual::operator()(const Tensor& x, const Tensor& f) const {
  if (gain_C_.defined()) return {x + gain_C_ * f, {}};
  return scale_ == 1 ? Stream{x, f} : Stream{x + scale_ * f, {}};
}

namespace {
constexpr Control scaled_controls[] = {{"residual_init=true", "the same smaller branch at the start only, in the weights"}};
constexpr Control gated_controls[] = {{"residual=scaled", "a smaller step that is not learnt"}};
constexpr Control parallel_controls[] = {{"residual=plain", "what the MLP gets from seeing the attention of its own block"}};
}  // namespace
extern const Component component_scaled_residual, component_gated_residual, component_parallel;
constinit const Component component_scaled_residual{
    .name = "scaled_residual",
    .summary = "branches are divided by sqrt(2L)",
    .place = "where the two branches of every block join the stream",
    .on = "residual=scaled",
    .options = "residual residual_init",
    .equations = "x <- x + f / sqrt(2L)",
    .cost = "nothing",
    .source = "as initialisation: Radford et al. 2019",
    .claim = "the variance of the stream does not grow with depth",
    .trust = "arithmetic at the start; under Adam the weights can undo it",
    .controls = scaled_controls,
};
constinit const Component component_gated_residual{
    .name = "gated_residual",
    .summary = "a learnt gain for every channel of a branch",
    .place = "where the two branches of every block join the stream",
    .on = "residual=gated",
    .options = "residual",
    .equations = "x <- x + g f,  g [C], 1 at the start",
    .cost = "C multiply-adds a token and branch; two gains [C] a block",
    .source = "Touvron et al. 2021, with gains that start near zero there",
    .claim = "deeper models train",
    .trust = "not tried at this depth; the gated rule of the nGPT report is another one, with gates in (0, 1): see ngpt",
    .controls = gated_controls,
};
constinit const Component component_parallel{
    .name = "parallel",
    .summary = "attention and MLP of a block read the same stream",
    .place = "every block",
    .on = "residual=parallel",
    .options = "residual",
    .equations = "x <- x + attn(N1 x) + mlp(N2 x)",
    .cost = "the products of the usual block, in one wave",
    .source = "Wang & Komatsuzaki 2021",
    .claim = "faster steps at a small loss of quality that vanishes with size",
    .trust = "the speed needs fused kernels; quality at small sizes needs seeds",
    .controls = parallel_controls,
};

}  // namespace assay::arch::decoder
