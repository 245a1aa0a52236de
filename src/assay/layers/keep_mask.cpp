#include "assay/layers/keep_mask.h"

#include <ATen/Parallel.h>

#include "assay/core/random.h"

namespace assay::layers {

Tensor keep_mask(int64_t B, int64_t T, int64_t C, int64_t positions, double keep, uint64_t seed, const std::string& name, uint64_t batch,
                 const at::TensorOptions& options) {
  const int64_t n = C > 0 ? C : 1;
  const core::Stream stream(seed, name, batch);
  const auto below = static_cast<uint64_t>(keep * 4294967296.0);
  Tensor mask = at::empty({B, T, n}, at::TensorOptions().dtype(at::kFloat));
  float* out = mask.data_ptr<float>();
  at::parallel_for(0, B * T, 64, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const uint64_t first = static_cast<uint64_t>(((row / T) * positions + row % T) * n);
      std::array<uint32_t, 4> block{};
      for (int64_t c = 0; c < n; ++c) {
        const uint64_t i = first + static_cast<uint64_t>(c);
        if (c == 0 || i % 4 == 0) block = stream.block(i / 4);
        out[row * n + c] = block[i % 4] < below ? 1.0F : 0.0F;
      }
    }
  });
  const Tensor shaped = C > 0 ? mask : mask.squeeze(-1);
  return shaped.to(options);
}

}  // namespace assay::layers
