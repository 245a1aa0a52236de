#include "assay/arch/transformer/sphere.h"

#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/where.h>

#include "assay/ops/sphere_step/sphere_step.h"

namespace assay::arch::transformer {
namespace {

Tensor norm_along(const Tensor& W, int64_t axis) { return at::linalg_vector_norm(W, 2, {axis}, true); }

}  // namespace

Tensor unit(const Tensor& x, double eps) { return ops::sphere_step(x, {}, eps, false).y; }

void to_radius_(const Tensor& W, int64_t axis, double radius, double eps, const Tensor& now) {
  Tensor divisor = norm_along(W, axis);
  if (eps != 0) divisor.add_(eps);
  if (radius != 1) divisor.div_(radius);
  if (now.defined()) divisor = at::where(now, divisor, 1.0);
  W.div_(divisor);  // the one pass over the weight beside its norm's
}

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
