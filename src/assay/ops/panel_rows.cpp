// Compiled once for each instruction set (cmake/Simd.cmake).
#include "assay/ops/panel_rows.h"

#include "assay/ops/vectors.h"

namespace assay::ops::ASSAY_CAPABILITY {
namespace {

// Sums of a tile stay in registers: 6 x 4 of AVX-512's 32, 6 x 2 of AVX2's 16.
template <class T>
constexpr int64_t kVectors = Vec<T>::size() * sizeof(T) == 64 ? 4 : 2;
template <class T>
constexpr int64_t kColumns = kVectors<T> * Vec<T>::size();

template <class T>
void pack(const T* x, int64_t stride, int64_t keys, int64_t count, T* panel) {
  constexpr int64_t width = Vec<T>::size();
  for (int64_t k = 0; k < keys; ++k) {
    for (int64_t j = 0; j < kColumns<T>; j += width) {
      const int64_t live = count - j < width ? (count > j ? count - j : 0) : width;
      Vec<T>::loadu(x + k * stride + j, live).store(panel + k * kColumns<T> + j);
    }
  }
}

// Turns a square of vectors: each round interleaves its first half with its second.
template <class T>
void transpose(Vec<T>* rows) {
  constexpr int64_t n = Vec<T>::size();
  Vec<T> turned[n];
  for (int64_t round = 1; round < n; round *= 2) {
#pragma GCC unroll 16
    for (int64_t i = 0; i < n / 2; ++i) {
      const auto both = at::vec::interleave2(rows[i], rows[i + n / 2]);
      turned[2 * i] = both.first;
      turned[2 * i + 1] = both.second;
    }
#pragma GCC unroll 16
    for (int64_t i = 0; i < n; ++i) rows[i] = turned[i];
  }
}

template <class T>
void pack_transposed(const T* x, int64_t stride, int64_t keys, int64_t count, const T* factor, T* panel) {
  constexpr int64_t width = Vec<T>::size();
  Vec<T> square[width];
  for (int64_t j = 0; j < kColumns<T>; j += width) {
    for (int64_t k = 0; k < keys; k += width) {
      const int64_t live = keys - k < width ? keys - k : width;
      for (int64_t i = 0; i < width; ++i) square[i] = j + i < count ? Vec<T>::loadu(x + (j + i) * stride + k, live) : Vec<T>(0);
      if (factor != nullptr)
        for (int64_t i = 0; i < width; ++i) square[i] = square[i] * Vec<T>::loadu(factor + k, live);
      transpose<T>(square);
      for (int64_t i = 0; i < live; ++i) square[i].store(panel + (k + i) * kColumns<T> + j);
    }
  }
}

template <class T, int64_t VECTORS>
void tile(const LeftRows<T>& left, int64_t rows, const T* panel, int64_t keys, int64_t count, T* out, int64_t stride, bool add) {
  using V = Vec<T>;
  constexpr int64_t width = V::size();
  const T* from[kTileRows];  // rows beyond the last are the last again, and not written
  for (int64_t i = 0; i < kTileRows; ++i) from[i] = left.from + (i < rows ? i : rows - 1) * left.row;
  V sums[kTileRows][VECTORS];
#pragma GCC unroll 6
  for (int64_t i = 0; i < kTileRows; ++i)
#pragma GCC unroll 4
    for (int64_t j = 0; j < VECTORS; ++j) sums[i][j] = V(0);
  for (int64_t k = 0, at = 0; k < keys; ++k, at += left.key) {
    V right[VECTORS];
#pragma GCC unroll 4
    for (int64_t j = 0; j < VECTORS; ++j) right[j] = V::loadu(panel + k * kColumns<T> + j * width);
#pragma GCC unroll 6
    for (int64_t i = 0; i < kTileRows; ++i) {
      const V a(from[i][at]);
#pragma GCC unroll 4
      for (int64_t j = 0; j < VECTORS; ++j) sums[i][j] = at::vec::fmadd(a, right[j], sums[i][j]);
    }
  }
#pragma GCC unroll 6
  for (int64_t i = 0; i < kTileRows; ++i) {
    if (i >= rows) break;
#pragma GCC unroll 4
    for (int64_t j = 0; j < VECTORS; ++j) {
      const int64_t live = count - j * width < width ? count - j * width : width;
      T* to = out + i * stride + j * width;
      if (add) (V::loadu(to, live) + sums[i][j]).store(to, static_cast<int>(live));
      else sums[i][j].store(to, static_cast<int>(live));
    }
  }
}

template <class T>
void product(const LeftRows<T>& left, int64_t rows, const T* panel, int64_t keys, int64_t count, T* out, int64_t stride, bool add) {
  switch ((count + Vec<T>::size() - 1) / Vec<T>::size()) {
    case 1: return tile<T, 1>(left, rows, panel, keys, count, out, stride, add);
    case 2: return tile<T, 2>(left, rows, panel, keys, count, out, stride, add);
    case 3: return tile < T, kVectors<T> == 4 ? 3 : 1 > (left, rows, panel, keys, count, out, stride, add);
    case 4: return tile < T, kVectors<T> == 4 ? 4 : 1 > (left, rows, panel, keys, count, out, stride, add);
    default: return;
  }
}

template <class T>
constexpr PanelRows<T> table() {
  return {kColumns<T>, &pack<T>, &pack_transposed<T>, &product<T>};
}

}  // namespace

const PanelTable panel_rows{table<float>(), table<double>()};

}  // namespace assay::ops::ASSAY_CAPABILITY
