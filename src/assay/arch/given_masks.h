#pragma once
#include <string>

#include "assay/tensor/aten.h"

namespace assay::arch {

// A model whose dropout masks can be given instead of drawn: a conformance file holds those that its answers belong to. Ones keep.
class GivenMasks {
 public:
  virtual ~GivenMasks() = default;
  // The mask of one site ("blocks.0.attn") in every training pass from now on.
  virtual void give_mask(const std::string& site, const Tensor& mask) = 0;
};

}  // namespace assay::arch
