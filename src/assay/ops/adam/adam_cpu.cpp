#include <ATen/Parallel.h>
#include <c10/util/BFloat16.h>
#include <torch/library.h>

#include <numeric>

#include "assay/ops/adam/adam.h"
#include "assay/ops/adam/adam_rows.h"

namespace assay::ops {
namespace {

static_assert(sizeof(ControlSlots) == Control::count * sizeof(double));

ControlSlots& slots(const Tensor& control) { return *reinterpret_cast<ControlSlots*>(control.mutable_data_ptr<double>()); }

double squares(const float* g, int64_t n) { return adam_rows().square_sum_f32(g, n); }
double squares(const double* g, int64_t n) { return adam_rows().square_sum_f64(g, n); }

// Chunks have a fixed size, so the sum does not depend on how many threads there are.
template <class T>
double square_sum(const T* g, int64_t n) {
  const int64_t chunks = (n + kAdamChunk - 1) / kAdamChunk;
  std::vector<double> partial(static_cast<size_t>(chunks));
  at::parallel_for(0, chunks, 1, [&](int64_t first, int64_t last) {
    for (int64_t c = first; c < last; ++c)
      partial[static_cast<size_t>(c)] = squares(g + c * kAdamChunk, std::min(kAdamChunk, n - c * kAdamChunk));
  });
  return std::accumulate(partial.begin(), partial.end(), 0.0);
}

void decide_cpu(const Tensor& grads, const Tensor& loss, Tensor control, Tensor log, double beta1, double beta2) {
  const bool is_double = grads.scalar_type() == at::kDouble;
  const double squares =
      is_double ? square_sum(grads.const_data_ptr<double>(), grads.numel()) : square_sum(grads.const_data_ptr<float>(), grads.numel());
  const double l = is_double ? *loss.const_data_ptr<double>() : static_cast<double>(*loss.const_data_ptr<float>());
  decide(slots(control), squares, l, log.mutable_data_ptr<double>(), log.size(0), beta1, beta2);
}

void run(float* p, const float* g, float* m, float* v, int64_t n, const ChunkNumbers<float>& numbers) {
  adam_rows().adam_f32(p, g, m, v, n, numbers);
}
void run(double* p, const double* g, double* m, double* v, int64_t n, const ChunkNumbers<double>& numbers) {
  adam_rows().adam_f64(p, g, m, v, n, numbers);
}

template <class T>
void apply(const Tensor& values, const Tensor& grads, const Tensor& first, const Tensor& second, const std::optional<Tensor>& shadow,
           const ControlSlots& c, const Tensor& chunks, double beta1, double beta2, double eps, bool decoupled) {
  T *p = values.mutable_data_ptr<T>(), *m = first.mutable_data_ptr<T>(), *v = second.mutable_data_ptr<T>();
  const T* g = grads.const_data_ptr<T>();
  c10::BFloat16* s = shadow ? shadow->mutable_data_ptr<c10::BFloat16>() : nullptr;
  const double* table = chunks.const_data_ptr<double>();
  at::parallel_for(0, chunks.size(0), 1, [&](int64_t from, int64_t to) {
    for (int64_t row = from; row < to; ++row) {
      const double* chunk = table + 4 * row;
      const auto begin = static_cast<int64_t>(chunk[0]), end = static_cast<int64_t>(chunk[1]);
      run(p + begin, g + begin, m + begin, v + begin, end - begin, chunk_numbers<T>(c, chunk[2], chunk[3], beta1, beta2, eps, decoupled));
      if (s != nullptr)
        for (int64_t i = begin; i < end; ++i) s[i] = static_cast<c10::BFloat16>(static_cast<float>(p[i]));
    }
  });
}

void adam_cpu(Tensor values, const Tensor& grads, Tensor first, Tensor second, const std::optional<Tensor>& shadow, const Tensor& control,
              const Tensor& chunks, double beta1, double beta2, double eps, bool decoupled) {
  const ControlSlots& c = slots(control);
  if (c.applied == 0) return;
  if (values.scalar_type() == at::kDouble) apply<double>(values, grads, first, second, shadow, c, chunks, beta1, beta2, eps, decoupled);
  else apply<float>(values, grads, first, second, shadow, c, chunks, beta1, beta2, eps, decoupled);
}

}  // namespace

TORCH_LIBRARY_IMPL(assay, CPU, m) {
  m.impl("decide_update_", decide_cpu);
  m.impl("adam_", adam_cpu);
}

}  // namespace assay::ops
