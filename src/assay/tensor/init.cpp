#include "assay/tensor/init.h"

#include <ATen/Parallel.h>

#include "assay/core/random.h"

namespace assay::tensor {
namespace {

constexpr int64_t kGrain = 1 << 14;

// Each value is a function of its place, so that the number of threads does not matter.
template <class T>
void fill_values(T* out, int64_t n, const Init& init, const core::Stream& stream) {
  at::parallel_for(0, n, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      double value = init.a;
      if (init.kind == Init::Kind::normal) value *= stream.normal(static_cast<uint64_t>(i));
      if (init.kind == Init::Kind::uniform) value *= 2 * stream.uniform(static_cast<uint64_t>(i)) - 1;
      out[i] = static_cast<T>(value);
    }
  });
}

}  // namespace

void fill(Tensor& t, const Init& init, uint64_t seed, std::string_view name) {
  const core::Stream stream(seed, "init/" + std::string(name));
  if (t.scalar_type() == at::kDouble) fill_values(t.data_ptr<double>(), t.numel(), init, stream);
  else fill_values(t.data_ptr<float>(), t.numel(), init, stream);
}

}  // namespace assay::tensor
