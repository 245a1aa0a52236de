#pragma once
#include <string_view>

#include "assay/tensor/aten.h"

namespace assay::arch::transformer {

// What a branch y adds to the stream x, split by c = <x, y> / max(<x, x>, 1e-8) into the part along x and the part across [components 7]:
//   intended   x + alpha (y - c x) + beta c x
//   notebook   x + alpha (y - c x) + beta c y / sum_k y_k       as the published notebook computes it; diverges where the sum vanishes
//   y-norm     x + alpha (y - c x) + beta c y / |y|
enum class OrthogonalUpdate { intended, notebook, y_norm };
OrthogonalUpdate orthogonal_update_from(std::string_view name);  // ConfigError with the nearest name

// x, y [..., C]; alpha, beta [C].
Tensor orthogonal_update(const Tensor& x, const Tensor& y, const Tensor& alpha, const Tensor& beta, OrthogonalUpdate mode);

}  // namespace assay::arch::transformer
