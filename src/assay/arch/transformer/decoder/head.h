#pragma once
#include "assay/arch/transformer/decoder/part.h"

// The logits of a position.
//   tied=true    logits = E z, the embedding
//   tied=false   logits = U z, a matrix of its own
namespace assay::arch::decoder {

struct HeadConfig {
  bool tied = true;
  static const core::Schema& schema();
};

class Head {
 public:
  Head() = default;
  Head(const HeadConfig& c, const Builder& b, const Tensor& E_VC);
  Tensor operator()(const Tensor& z_BTC) const { return tensor::linear(z_BTC, matrix_VC_, {}, precision_); }
  const Tensor& matrix() const { return matrix_VC_; }
  tensor::Precision precision() const { return precision_; }

 private:
  Tensor matrix_VC_;
  tensor::Precision precision_ = tensor::Precision::fp32;
};

}  // namespace assay::arch::decoder
