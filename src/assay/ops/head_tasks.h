#pragma once
#include <ATen/Parallel.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/empty.h>

#include <algorithm>

#include "assay/tensor/aten.h"

// How ops that make tensors of their own are cut into tasks on the CPU.
namespace assay::ops {

// work(begin, end) over ranges of tasks. Tasks share no result, so that results do not depend on the number of threads.
template <class Work>
void in_parallel(int64_t tasks, const Work& work) {
  at::parallel_for(0, tasks, 1, [&](int64_t begin, int64_t end) {
    const at::NoGradGuard no_grad;
    const at::AutoDispatchBelowADInplaceOrView below_autograd;  // worker threads do not inherit either
    work(begin, end);
  });
}

// work(batch, head) for q [B, H, T, d].
template <class Work>
void for_each_head(const Tensor& q, const Work& work) {
  const int64_t heads = q.size(1);
  in_parallel(q.size(0) * heads, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) work(i / heads, i % heads);
  });
}

// Memory that the tiles of a head take turns in: tiles of at most `rows` rows of `length` keys, and the matrix [rows, keys] of one of them.
inline Tensor tile_memory(int64_t rows, int64_t length, const at::TensorOptions& options) {
  return at::empty({std::min(rows, length) * length}, options);
}
inline Tensor tile_in(const Tensor& memory, int64_t rows, int64_t keys) { return memory.narrow(0, 0, rows * keys).view({rows, keys}); }

}  // namespace assay::ops
