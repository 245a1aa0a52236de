#pragma once
#include <cuda_runtime_api.h>

#include <cstdint>

namespace assay::ops {

// A launcher over raw pointers; no torch type. out and partial are float64 for float64, else float32.
struct ColumnSumsArguments {
  const void* x;  // [rows, n]
  void* out;      // [n]
  void* partial;  // [column_sum_blocks(rows, n), n]
  int64_t rows, n;
  cudaStream_t stream;
};
enum class Numbers { bf16, f32, f64 };
int column_sum_blocks(int64_t rows, int64_t n);
cudaError_t column_sums(const ColumnSumsArguments& a, Numbers numbers);

}  // namespace assay::ops
