#include "assay/arch/transformer/decoder/part.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>

#include "assay/core/error.h"

namespace assay::arch::decoder {

Affine Builder::linear(const std::string& name, int64_t out, int64_t in, double scale) const {
  Affine a;
  a.weight = params.add(name + ".weight", {out, in}, tensor::normal(0.02 * scale));
  if (bias) a.bias = params.add(name + ".bias", {out}, tensor::uniform(1 / std::sqrt(static_cast<double>(in))));
  return a;
}

Tensor Builder::mixing_scalar(const std::string& name, double value, bool trained) const {
  tensor::Treatment treatment = kMixingScalar;
  treatment.trained = trained;
  return params.add(name, {}, tensor::constant(value), treatment);
}

void refuse(const std::string& why) { throw core::ConfigError("gpt2", why); }

Tensor earlier(const Tensor& x, int64_t k) {
  const int64_t T = x.size(1), gone = std::min(k, T);
  return at::cat({at::zeros_like(x.narrow(1, 0, gone)), x.narrow(1, 0, T - gone)}, 1);
}

}  // namespace assay::arch::decoder
