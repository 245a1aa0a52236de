#pragma once
#include <ATen/core/Tensor.h>

#include <array>
#include <type_traits>
#include <vector>

#include "assay/ops/bf16_rows.h"

// Rows of dense tensors as row kernels on the CPU want them. Where a tensor is bfloat16 beside float32 a row passes through float32 memory of
// the thread: some KB, which stay in the nearest cache, so that main memory sees two bytes a number.
namespace assay::ops {

inline constexpr size_t kWideRows = 6;  // of one kernel

// The thread's memory number `slot` for n numbers. It stays until the thread ends.
template <class T>
T* row_memory(size_t slot, int64_t n) {
  thread_local std::array<std::vector<T>, kWideRows> rows;
  std::vector<T>& row = rows.at(slot);
  if (row.size() < static_cast<size_t>(n)) row.resize(static_cast<size_t>(n));
  return row.data();
}

inline const uint16_t* bits_of(const at::Tensor& t) { return reinterpret_cast<const uint16_t*>(t.const_data_ptr<at::BFloat16>()); }
inline uint16_t* mutable_bits_of(const at::Tensor& t) { return reinterpret_cast<uint16_t*>(t.mutable_data_ptr<at::BFloat16>()); }

// Rows of n numbers to read. An undefined or empty tensor has none: null.
template <class T>
class InRows {
 public:
  InRows(const at::Tensor& t, int64_t n, size_t slot) : n_(n), slot_(slot) {
    if (!t.defined() || t.numel() == 0) return;
    dense_ = t.contiguous();
    if (t.scalar_type() == at::kBFloat16) bits_ = bits_of(dense_);
    else wide_ = dense_.const_data_ptr<T>();
  }
  // Valid until the same thread reads another row.
  const T* operator()(int64_t row) const { return (*this)(row, n_); }
  const T* operator()(int64_t row, int64_t numbers) const {  // of a last row that is shorter
    if constexpr (std::is_same_v<T, float>) {
      if (bits_ != nullptr) {
        float* to = row_memory<float>(slot_, n_);
        bf16_rows().widen(bits_ + row * n_, numbers, to);
        return to;
      }
    }
    return wide_ == nullptr ? nullptr : wide_ + row * n_;
  }

 private:
  at::Tensor dense_;
  int64_t n_;
  size_t slot_;
  const uint16_t* bits_ = nullptr;
  const T* wide_ = nullptr;
};

// Rows of n numbers of a contiguous tensor to write.
template <class T>
class OutRows {
 public:
  OutRows(const at::Tensor& t, int64_t n, size_t slot) : n_(n), slot_(slot) {
    if (!t.defined() || t.numel() == 0) return;
    if (t.scalar_type() == at::kBFloat16) bits_ = mutable_bits_of(t);
    else wide_ = t.mutable_data_ptr<T>();
  }
  // Where to write the row.
  T* begin(int64_t row) const {
    if (bits_ != nullptr) return row_memory<T>(slot_, n_);
    return wide_ == nullptr ? nullptr : wide_ + row * n_;
  }
  // Behind the row's last write.
  void end(int64_t row) const { end(row, n_); }
  void end(int64_t row, int64_t numbers) const {
    if constexpr (std::is_same_v<T, float>)
      if (bits_ != nullptr) bf16_rows().narrow(row_memory<float>(slot_, n_), numbers, bits_ + row * n_);
  }

 private:
  int64_t n_;
  size_t slot_;
  uint16_t* bits_ = nullptr;
  T* wide_ = nullptr;
};

}  // namespace assay::ops
