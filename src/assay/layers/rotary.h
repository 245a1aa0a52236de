#pragma once
#include "assay/tensor/aten.h"

namespace assay::layers {

// Rotary positions [Su et al. 2021] on z [B, H, T, d], d even: the pair (z_2i, z_2i+1) at position t is turned by the angle
// t base^(-2i/d). `vendor` is what the published nGPT code computes instead, which is no rotation: with the table
// tau_t = (sin w_0 t, cos w_0 t, sin w_1 t, ...) of length d,  z'_2i = -z_2i+1 tau_t[d/2 + i],  z'_2i+1 = z_2i tau_t[i].
class Rotary {
 public:
  Rotary(int64_t head_size, double base, bool vendor) : d_(head_size), base_(base), vendor_(vendor) {}
  Tensor operator()(const Tensor& z_BHTd);

 private:
  void prepare(const Tensor& z_BHTd);  // tables as long as z, of its dtype and device

  int64_t d_;
  double base_;
  bool vendor_;
  Tensor own_Td_, swapped_Td_;  // z' = own z + swapped (z_1, z_0, z_3, z_2, ...)
};

}  // namespace assay::layers
