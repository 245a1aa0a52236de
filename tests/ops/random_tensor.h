#pragma once
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include "assay/core/random.h"

namespace assay::testing {

// Normal float64 numbers that depend on (seed, name) alone.
inline at::Tensor random_tensor(const std::vector<int64_t>& shape, uint64_t seed, const char* name) {
  at::Tensor t = at::empty(shape, at::TensorOptions().dtype(at::kDouble));
  const core::Stream stream(seed, name);
  for (int64_t i = 0; i < t.numel(); ++i) t.data_ptr<double>()[i] = stream.normal(static_cast<uint64_t>(i));
  return t;
}

}  // namespace assay::testing
