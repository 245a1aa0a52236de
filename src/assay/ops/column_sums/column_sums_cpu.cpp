#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>

#include "assay/ops/column_sums/column_sums.h"

namespace assay::ops {
namespace {

constexpr int64_t kColumns = 64, kRowsTogether = 16;

// Each task has columns of its own. Runs of rows add up in the result's type, their sums in double.
template <class X, class T>
void sum_columns(const X* x, int64_t rows, int64_t n, T* out) {
  at::parallel_for(0, (n + kColumns - 1) / kColumns, 1, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const int64_t first = block * kColumns, columns = std::min(kColumns, n - first);
      double total[kColumns] = {};
      for (int64_t row = 0; row < rows; row += kRowsTogether) {
        T part[kColumns] = {};
        for (int64_t i = row; i < std::min(rows, row + kRowsTogether); ++i)
          for (int64_t j = 0; j < columns; ++j) part[j] += static_cast<T>(x[i * n + first + j]);
        for (int64_t j = 0; j < columns; ++j) total[j] += static_cast<double>(part[j]);
      }
      for (int64_t j = 0; j < columns; ++j) out[first + j] = static_cast<T>(total[j]);
    }
  });
}

Tensor column_sums_cpu(const Tensor& x) {
  check_column_sums(x);
  const bool narrow = x.scalar_type() == at::kBFloat16;
  const Tensor in = x.contiguous(), out = at::empty({x.size(1)}, narrow ? x.options().dtype(at::kFloat) : x.options());
  const int64_t rows = x.size(0), n = x.size(1);
  if (x.scalar_type() == at::kDouble) sum_columns(in.const_data_ptr<double>(), rows, n, out.mutable_data_ptr<double>());
  else if (narrow) sum_columns(in.const_data_ptr<at::BFloat16>(), rows, n, out.mutable_data_ptr<float>());
  else sum_columns(in.const_data_ptr<float>(), rows, n, out.mutable_data_ptr<float>());
  return out;
}

}  // namespace

TORCH_LIBRARY_IMPL(assay, CPU, m) { m.impl("column_sums", column_sums_cpu); }

}  // namespace assay::ops
