#include "assay/layers/largest_entries.h"

#include <ATen/Parallel.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/topk.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

namespace assay::layers {
namespace {

template <class T>
void mark_largest(const T* row, int64_t n, int64_t k, std::vector<T>& size, std::vector<T>& order, T* mark) {
  for (int64_t i = 0; i < n; ++i) size[static_cast<size_t>(i)] = std::isnan(row[i]) ? std::numeric_limits<T>::infinity() : std::abs(row[i]);
  order = size;
  std::nth_element(order.begin(), order.begin() + (k - 1), order.end(), std::greater<T>());
  const T least = order[static_cast<size_t>(k - 1)];
  int64_t left = k;
  for (int64_t i = 0; i < n; ++i) left -= size[static_cast<size_t>(i)] > least;
  for (int64_t i = 0; i < n; ++i) {
    const T s = size[static_cast<size_t>(i)];
    mark[i] = s > least || (s == least && left-- > 0) ? 1 : 0;
  }
}

template <class T>
Tensor in_one_pass(const Tensor& x, int64_t k) {
  const int64_t n = x.size(-1);
  Tensor mask = at::empty_like(x);
  const T* in = x.const_data_ptr<T>();
  T* out = mask.mutable_data_ptr<T>();
  at::parallel_for(0, x.numel() / n, 16, [&](int64_t begin, int64_t end) {
    std::vector<T> size(static_cast<size_t>(n)), order(static_cast<size_t>(n));
    for (int64_t r = begin; r < end; ++r) mark_largest(in + r * n, n, k, size, order, out + r * n);
  });
  return mask;
}

}  // namespace

Tensor largest_entries_by_calls(const Tensor& x, int64_t k) {
  const at::NoGradGuard no_grad;
  const Tensor size = at::abs(x), least = std::get<0>(at::topk(size, k, -1)).narrow(-1, k - 1, 1), above = size > least,
               equal = size == least, left = k - above.sum(-1, true);
  return above.logical_or(equal.logical_and(at::cumsum(equal, -1) <= left)).to(x.scalar_type());
}

Tensor largest_entries(const Tensor& x, int64_t k) {
  const at::NoGradGuard no_grad;
  if (!x.is_cpu()) return largest_entries_by_calls(x, k);
  return x.scalar_type() == at::kDouble ? in_one_pass<double>(x.contiguous(), k) : in_one_pass<float>(x.contiguous(), k);
}

}  // namespace assay::layers
