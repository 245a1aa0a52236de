#pragma once
#include "assay/ops/loss_head/loss_row.h"
#include "assay/tensor/simd.h"

namespace assay::ops {

// One row: x [vocab] -> its loss (not weighted); where dx is given, d(weight * loss)/dx there (dx may be x) and the row's part of the
// gradient of gain in *dgain. `scratch` [vocab].
struct LossRows {
  float (*row_f32)(const float* x, float gain, int64_t target, const LossRowSettings<float>& s, float* dx, float* dgain, float* scratch);
  double (*row_f64)(const double* x, double gain, int64_t target, const LossRowSettings<double>& s, double* dx, double* dgain,
                    double* scratch);
};

ASSAY_SIMD_TABLE(LossRows, loss_rows)

}  // namespace assay::ops
