#include "assay/arch/transformer/orthogonal_update.h"

#include <ATen/ops/linalg_vector_norm.h>

#include "assay/core/error.h"
#include "assay/core/options.h"

namespace assay::arch::transformer {
namespace {

constexpr double kEps = 1e-8;

Tensor direction(const Tensor& x, const Tensor& y, OrthogonalUpdate mode) {
  if (mode == OrthogonalUpdate::notebook) return y / y.sum(-1, true);
  if (mode == OrthogonalUpdate::y_norm) return y / at::linalg_vector_norm(y, 2, {-1}, true);
  return x;
}

}  // namespace

OrthogonalUpdate orthogonal_update_from(std::string_view name) {
  if (name == "intended") return OrthogonalUpdate::intended;
  if (name == "notebook") return OrthogonalUpdate::notebook;
  if (name == "y-norm") return OrthogonalUpdate::y_norm;
  throw core::ConfigError("orthpar", core::unknown_name("residual", name, {"intended", "notebook", "y-norm"}));
}

Tensor orthogonal_update(const Tensor& x, const Tensor& y, const Tensor& alpha, const Tensor& beta, OrthogonalUpdate mode) {
  const Tensor c = (x * y).sum(-1, true) / (x * x).sum(-1, true).clamp_min(kEps);
  return x + alpha * (y - c * x) + beta * (c * direction(x, y, mode));
}

}  // namespace assay::arch::transformer
