#include "assay/layers/rms_norm.h"

#include "assay/ops/normalize/normalize.h"

namespace assay::layers {

Tensor rms_norm(const Tensor& z, double eps) { return ops::normalize(z, {}, eps, false).z; }

}  // namespace assay::layers
