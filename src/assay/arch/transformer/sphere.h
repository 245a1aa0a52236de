#pragma once
#include "assay/tensor/aten.h"

namespace assay::arch::transformer {

// N(x) = x / sqrt(sum x^2 + eps) over the last axis.
Tensor unit(const Tensor& x, double eps = 0);

// In place: each row (axis -1) or column (axis 0) divided by (its norm + eps) / radius. `now`, where defined: a boolean scalar on the weight's
// device; where it is false every number stays as it is, bit for bit.
void to_radius_(const Tensor& W, int64_t axis, double radius, double eps, const Tensor& now = {});

// How far the rows of a weight are from the sphere: mean over rows of | |w| - radius |. A scalar on the weight's device.
Tensor drift(const Tensor& W, double radius = 1);

// Steps between projections of the schedule "time" at step s of N: 5 + 10 s / N, half up, in integers; 5 where N is unknown (0).
int64_t projection_interval(int64_t step, int64_t total);

// Radius of a projection at step s of N: from `first` to `last` on a straight line; `first` where N is unknown (0).
double projection_radius(double first, double last, int64_t step, int64_t total);

// Whether the schedule "time" projects after step s: at 0, then where that many steps have passed since the last projection. A function of
// (s, N) alone; remembers how far it has counted.
class TimedProjection {
 public:
  bool due(int64_t step, int64_t total);

 private:
  int64_t total_ = -1, next_ = 0, last_ = 0;  // steps before `next_` are counted; the last projection among them
};

}  // namespace assay::arch::transformer
