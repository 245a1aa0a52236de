#pragma once
#include <cstdint>

#include "assay/tensor/simd.h"

namespace assay::ops {

inline constexpr int64_t kTileRows = 6;     // of a result that are made at once
inline constexpr int64_t kPanelKeys = 128;  // that a caller sums at once: one running sum, whose error grows with its length

// The left operand of a product: number (i, k) is at from[i * row + k * key].
template <class T>
struct LeftRows {
  const T* from;
  int64_t row, key;
};

// Small products whose right operand was copied into a panel: [keys, columns] without gaps, so that its lines do not fight for the same places of a
// cache, as those of a matrix with a power of two of columns do.
template <class T>
struct PanelRows {
  int64_t columns;
  // panel[k, j] = x[k, j] for k < keys, j < count; `stride` numbers from row to row of x. What lies beyond count is 0.
  void (*pack)(const T* x, int64_t stride, int64_t keys, int64_t count, T* panel);
  // panel[k, j] = x[j, k], of count rows of x; times factor[k] where that is there
  void (*pack_transposed)(const T* x, int64_t stride, int64_t keys, int64_t count, const T* factor, T* panel);
  // out[i, j] (+)= sum over k < keys of left(i, k) panel[k, j] for i < rows <= kTileRows, j < count <= columns.
  void (*product)(const LeftRows<T>& left, int64_t rows, const T* panel, int64_t keys, int64_t count, T* out, int64_t stride, bool add);
};
struct PanelTable {
  PanelRows<float> f32;
  PanelRows<double> f64;
};

ASSAY_SIMD_TABLE(PanelTable, panel_rows)

}  // namespace assay::ops
