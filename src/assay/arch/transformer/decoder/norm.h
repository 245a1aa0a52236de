#pragma once
#include "assay/arch/transformer/decoder/part.h"
#include "assay/arch/transformer/decoder/residual.h"
#include "assay/ops/normalize/normalize.h"

// The norm of every block and of the end, over the channels of one position.
//   norm=layer   LN(x) = g (x - mean x) / sqrt(var x + eps) + b,     var of the population
//   norm=rms     RMS(x) = g x / sqrt(mean x^2 + eps)                  (Zhang & Sennrich 2019)
namespace assay::arch::decoder {

struct NormConfig {
  std::string norm = "layer";
  double norm_eps = 1e-5;
  static const core::Schema& schema();
};

class Norm {
 public:
  Norm() = default;
  Norm(const NormConfig& c, const Builder& b, const std::string& name, int64_t n);
  Tensor operator()(const Tensor& x) const { return branch({x, {}}).scaled; }
  // The normalised stream (bfloat16 on a GPU in that precision) beside the stream itself for the residual sum: what flows back through it joins
  // the norm's gradient in one pass.
  ops::Normalized branch(const Stream& stream) const;

 private:
  NormConfig config_;
  tensor::Precision precision_ = tensor::Precision::fp32;
  Affine gain_;
};

}  // namespace assay::arch::decoder
