#pragma once
#include "assay/tensor/aten.h"

namespace assay::layers {

// f(inputs), of which nothing but the inputs is kept for backward: there f runs a second time. The same values and gradients for less
// memory. `f` is a pure function of `inputs`, which must include every tensor that wants a gradient; it lives until backward has run.
using Recomputed = std::function<Tensor(const std::vector<Tensor>& inputs)>;
Tensor recompute(const Recomputed& f, const std::vector<Tensor>& inputs);

}  // namespace assay::layers
