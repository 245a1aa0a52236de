#pragma once
#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

namespace assay::ops {

inline constexpr int64_t kRowsOfTask = 16;

// work(row) for each row, in parallel; rows are independent, so the result does not depend on the number of threads.
template <class F>
void for_rows(int64_t rows, const F& work) {
  at::parallel_for(0, rows, kRowsOfTask, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) work(row);
  });
}

// Sums over the rows of n columns. Rows are cut into the same pieces on every machine, and the pieces' sums added in order.
template <class T>
class ColumnSums {
 public:
  ColumnSums(int64_t rows, int64_t n)
      : rows_(rows),
        n_(n),
        piece_(std::max<int64_t>(kRowsOfTask, (rows + kPieces - 1) / kPieces)),
        pieces_((rows + piece_ - 1) / piece_),
        sums_(static_cast<size_t>(pieces_ * n)) {}

  // work(row, sums): adds the row's part to sums [n].
  template <class F>
  void for_rows(const F& work) {
    at::parallel_for(0, pieces_, 1, [&](int64_t begin, int64_t end) {
      for (int64_t piece = begin; piece < end; ++piece)
        for (int64_t row = piece * piece_; row < std::min(rows_, (piece + 1) * piece_); ++row) work(row, sums_.data() + piece * n_);
    });
  }
  void total(T* out) const {
    std::fill(out, out + n_, T(0));
    for (int64_t piece = 0; piece < pieces_; ++piece)
      for (int64_t i = 0; i < n_; ++i) out[i] += sums_[static_cast<size_t>(piece * n_ + i)];
  }

 private:
  static constexpr int64_t kPieces = 32;
  int64_t rows_, n_, piece_, pieces_;
  std::vector<T> sums_;
};

}  // namespace assay::ops
