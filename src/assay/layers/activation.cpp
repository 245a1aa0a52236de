#include "assay/layers/activation.h"

#include <ATen/ops/gelu.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/silu.h>

#include "assay/core/error.h"
#include "assay/core/options.h"

namespace assay::layers {

Activation activation_from(std::string_view name, bool fallback, bool relu_known) {
  if (name == "gelu") return Activation::gelu;
  if (name == "relu" && (relu_known || !fallback)) return Activation::relu;
  if (name == "relu2") return Activation::relu2;
  if (name == "swish") return Activation::swish;
  if (fallback) return Activation::gelu;
  throw core::ConfigError("model", core::unknown_name("activation", name, {"gelu", "relu", "relu2", "swish"}));
}

ops::Pointwise pointwise(Activation a) {
  switch (a) {
    case Activation::relu: return ops::Pointwise::relu;
    case Activation::relu2: return ops::Pointwise::relu2;
    case Activation::swish: return ops::Pointwise::swish;
    case Activation::gelu: break;
  }
  return ops::Pointwise::gelu;
}

Tensor activate(const Tensor& x, Activation a) {
  switch (a) {
    case Activation::relu: return at::relu(x);
    case Activation::relu2: return at::relu(x).square();
    case Activation::swish: return at::silu(x);
    case Activation::gelu: break;
  }
  return at::gelu(x);
}

}  // namespace assay::layers
