#include "assay/arch/transformer/sphere.h"

#include <ATen/ops/linalg_vector_norm.h>

#include <cmath>

#include "assay/layers/rms_norm.h"

namespace assay::arch::transformer {
namespace {

Tensor norm_along(const Tensor& W, int64_t axis) { return at::linalg_vector_norm(W, 2, {axis}, true); }

}  // namespace

// x (mean(x^2) + eps/n)^(-1/2) n^(-1/2): the one-pass norm, scaled.
Tensor unit(const Tensor& x, double eps) {
  const auto n = static_cast<double>(x.size(-1));
  return layers::rms_norm(x, eps / n) * (1 / std::sqrt(n));
}

Tensor rows_to_radius(const Tensor& W, double radius, double eps) { return W / (norm_along(W, -1) + eps) * radius; }

Tensor unit_rows(const Tensor& W) { return W / norm_along(W, -1); }

Tensor unit_columns(const Tensor& W) { return W / norm_along(W, 0); }

Tensor drift(const Tensor& W, double radius) { return (norm_along(W, -1) - radius).abs().mean(); }

int64_t projection_interval(int64_t step, int64_t total) { return total > 0 ? (11 * total + 20 * step) / (2 * total) : 5; }

double projection_radius(double first, double last, int64_t step, int64_t total) {
  return total > 0 ? first + (last - first) * static_cast<double>(step) / static_cast<double>(total) : first;
}

bool TimedProjection::due(int64_t step, int64_t total) {
  if (total != total_ || step < next_) {
    total_ = total;
    next_ = 0;
  }
  bool now = last_ == step && next_ > step;
  for (; next_ <= step; ++next_) {
    now = next_ == 0 || next_ - last_ >= projection_interval(next_, total);
    if (now) last_ = next_;
  }
  return now;
}

}  // namespace assay::arch::transformer
