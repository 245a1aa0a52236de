#pragma once
// The numbers of one row that the CPU and the CUDA kernels share. No torch header.
#include <cstdint>

namespace assay::ops {

template <class T>
struct LossRowSettings {
  int64_t vocab;
  T norm_eps;  // < 0: no norm
  T softcap;   // 0: none
  T inverse_softcap;
  T z_loss, smoothing;
  T weight;  // 1 / number of rows that count
};

}  // namespace assay::ops
