#pragma once
#include <string>

#include "assay/ops/residual/residual.h"

namespace assay::layers {

// Pointwise activations by the names that checkpoints use. gelu is the exact form z/2 (1 + erf(z/sqrt 2)); relu2 = max(z, 0)^2;
// swish = z sigmoid(z).
enum class Activation { gelu, relu, relu2, swish };

// ConfigError with the nearest name. `fallback`: as in the reference implementation, where an unknown name silently means gelu, and so does
// relu for all but the variants with `relu_known`.
Activation activation_from(std::string_view name, bool fallback = false, bool relu_known = false);
// The same for an op that applies it.
ops::Pointwise pointwise(Activation a);
Tensor activate(const Tensor& x, Activation a);

}  // namespace assay::layers
