#pragma once
// The op's boundary: what its schema hands to the kernels.
#include "assay/tensor/aten.h"

namespace assay::ops {

enum LossHeadMode : int64_t { kNoGradient = 0, kGradient = 1, kOverwrite = 2 };

struct LossHeadNumbers {
  int64_t first, last;
  double norm_eps, softcap, z_loss, smoothing;
  int64_t mode;
};

// loss [], gradient of x (empty where none was asked for), gradient of gain (empty where there is no gain).
using LossHeadResult = std::tuple<Tensor, Tensor, Tensor>;
using LossHeadForward = LossHeadResult(const Tensor&, const std::optional<Tensor>&, const Tensor&, int64_t, int64_t, double, double, double,
                                       double, int64_t);

}  // namespace assay::ops
