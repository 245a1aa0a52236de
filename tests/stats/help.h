#pragma once
#include <cmath>
#include <vector>

#include "assay/core/random.h"
#include "assay/stats/sign_process.h"

namespace assay::stats::test {

inline std::vector<double> normals(size_t n, uint64_t seed, double mean = 0) {
  const core::Stream stream(seed, "test/normals");
  std::vector<double> out(n);
  for (size_t i = 0; i < n; ++i) out[i] = mean + stream.normal(i);
  return out;
}

// Mean of exp(which(log e)) over all sign vectors of the sizes.
template <class Which>
double mean_over_signs(const std::vector<double>& sizes, const Which& which) {
  double sum = 0;
  const size_t vectors = size_t{1} << sizes.size();
  for (size_t signs = 0; signs < vectors; ++signs) {
    SignProcess p;
    for (size_t i = 0; i < sizes.size(); ++i) p.add((signs >> i & 1) != 0 ? -sizes[i] : sizes[i]);
    sum += std::exp(which(p.log_e()));
  }
  return sum / static_cast<double>(vectors);
}

}  // namespace assay::stats::test
