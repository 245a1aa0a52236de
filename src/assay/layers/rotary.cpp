#include "assay/layers/rotary.h"

#include <cmath>

namespace assay::layers {

void Rotary::prepare(const Tensor& z) {
  const int64_t T = z.size(2);
  if (own_Td_.defined() && own_Td_.size(0) >= T && own_Td_.device() == z.device() && own_Td_.scalar_type() == z.scalar_type()) return;
  const auto options = at::TensorOptions().dtype(at::kDouble);
  Tensor own = at::zeros({T, d_}, options), swapped = at::zeros({T, d_}, options);
  const auto sine_cosine = [&](int64_t t, int64_t j) {  // entry j of tau_t
    const double angle = static_cast<double>(t) * std::pow(base_, -2.0 * static_cast<double>(j / 2) / static_cast<double>(d_));
    return j % 2 == 0 ? std::sin(angle) : std::cos(angle);
  };
  for (int64_t t = 0; t < T; ++t)
    for (int64_t i = 0; i < d_ / 2; ++i) {
      double *a = own.data_ptr<double>() + t * d_ + 2 * i, *b = swapped.data_ptr<double>() + t * d_ + 2 * i;
      if (vendor_) {
        b[0] = -sine_cosine(t, d_ / 2 + i);
        b[1] = sine_cosine(t, i);
      } else {
        a[0] = a[1] = sine_cosine(t, 2 * i + 1);
        b[1] = sine_cosine(t, 2 * i);
        b[0] = -b[1];
      }
    }
  own_Td_ = own.to(z.options());
  swapped_Td_ = swapped.to(z.options());
}

Tensor Rotary::operator()(const Tensor& z) {
  prepare(z);
  const int64_t T = z.size(2);
  std::vector<int64_t> pairs = z.sizes().vec();
  pairs.back() = d_ / 2;
  pairs.push_back(2);
  const Tensor swapped = z.reshape(pairs).flip({-1}).reshape(z.sizes());
  return z * own_Td_.narrow(0, 0, T) + swapped * swapped_Td_.narrow(0, 0, T);
}

}  // namespace assay::layers
