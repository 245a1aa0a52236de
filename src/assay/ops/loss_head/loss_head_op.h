#pragma once
// The op's boundary: what its schema hands to the kernels.
#include "assay/tensor/aten.h"

namespace assay::ops {

struct LossHeadNumbers {
  int64_t first, last;
  double norm_eps, softcap, z_loss, smoothing;
};

// assay::loss_head: loss [], gradient of x (empty unless with_gradient), gradient of gain (empty where there is no gain).
using LossHeadResult = std::tuple<Tensor, Tensor, Tensor>;
using LossHeadForward = LossHeadResult(const Tensor&, const std::optional<Tensor>&, const Tensor&, int64_t, int64_t, double, double, double,
                                       double, bool with_gradient);

// assay::loss_head_: the gradient of x takes its place; loss [] and gradient of gain come back.
using LossHeadInPlaceResult = std::tuple<Tensor, Tensor>;
using LossHeadInPlace = LossHeadInPlaceResult(const Tensor&, const std::optional<Tensor>&, const Tensor&, int64_t, int64_t, double, double,
                                              double, double);

}  // namespace assay::ops
