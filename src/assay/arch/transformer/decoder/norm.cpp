#include "assay/arch/transformer/decoder/norm.h"

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

ops::Normalized Norm::branch(const Tensor& x) const {
  const bool narrow = precision_ == tensor::Precision::bf16 && x.is_cuda() && x.scalar_type() == at::kFloat;
  return ops::affine_norm(x, gain_.weight, gain_.bias, {.eps = config_.norm_eps, .centered = config_.norm == "layer", .bf16 = narrow});
}

}  // namespace assay::arch::decoder
