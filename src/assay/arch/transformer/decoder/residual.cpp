#include "assay/arch/transformer/decoder/residual.h"

#include <cmath>

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

Tensor Residual::operator()(const Tensor& x, const Tensor& f) const {
  if (gain_C_.defined()) return x + gain_C_ * f;
  return scale_ == 1 ? x + f : x + scale_ * f;
}

}  // namespace assay::arch::decoder
