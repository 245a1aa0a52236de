#pragma once
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>

#include "assay/ops/panel_rows.h"
#include "assay/tensor/aten.h"

// Products around a tile of weights between positions, of which row t holds keys s with t - reach <= s < t alone, or s <= t where a row sees itself: what
// lies in the future is not computed, though up to kTileRows - 1 numbers behind a row's last are read and must be 0. In parallel over panels, where the
// caller is not in a parallel region itself; each number is summed in the same order either way.
namespace assay::ops {

struct Tile {
  int64_t row, rows, key, keys;  // rows [row, row + rows) against keys [key, key + keys); in memory [rows, keys]
  int64_t reach;
  bool self = false;                                             // whether a row sees its own position
  int64_t own(int64_t i) const { return row + i + self - key; }  // one past the last column that row i sees
};

inline const PanelRows<float>& panels(float) { return panel_rows().f32; }
inline const PanelRows<double>& panels(double) { return panel_rows().f64; }

// A matrix whose rows are contiguous.
template <class T>
struct RowsIn {
  explicit RowsIn(const Tensor& t) : RowsIn(t.const_data_ptr<T>(), t.stride(0), t.size(1)) {}
  RowsIn(const T* first, int64_t step, int64_t wide) : from(first), stride(step), columns(wide) {}
  const T* from;
  int64_t stride, columns;
};
template <class T>
struct RowsOut {
  explicit RowsOut(const Tensor& t) : to(t.mutable_data_ptr<T>()), stride(t.stride(0)) {}
  T* to;
  int64_t stride;
};

// work(first column, columns of the panel, memory of a panel) for n columns.
template <class T, class Work>
void for_panels(int64_t n, const Work& work) {
  const int64_t columns = panels(T()).columns, count = (n + columns - 1) / columns;
  at::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
    const Tensor memory = at::empty({kPanelKeys * columns}, c10::CppTypeToScalarType<T>::value);
    for (int64_t i = begin; i < end; ++i) work(i * columns, std::min(columns, n - i * columns), memory.mutable_data_ptr<T>());
  });
}

// scores[i, j] = a[row + i] . b[key + j], or that of b times factor where it is there. Only numbers that a row sees, and some beyond, are written.
template <class T>
void score_tile(const RowsIn<T>& a, const RowsIn<T>& b, const Tile& t, T* scores, const T* factor = nullptr,
                const PanelRows<T>& rows = panels(T())) {
  for_panels<T>(t.keys, [&](int64_t j, int64_t count, T* panel) {
    for (int64_t n = 0; n < a.columns; n += kPanelKeys) {
      const int64_t depth = std::min(kPanelKeys, a.columns - n);
      rows.pack_transposed(b.from + (t.key + j) * b.stride + n, b.stride, depth, count, factor == nullptr ? nullptr : factor + n, panel);
      for (int64_t i = 0; i < t.rows; i += kTileRows) {
        const int64_t tall = std::min(kTileRows, t.rows - i), seen = std::min(count, t.own(i + tall - 1) - j);
        if (seen <= 0 || j + count <= t.own(i) - t.reach) continue;
        rows.product({a.from + (t.row + i) * a.stride + n, a.stride, 1}, tall, panel, depth, seen, scores + i * t.keys + j, t.keys, n > 0);
      }
    }
  });
}

// out[row + i] = sum over keys of weights[i, j] v[key + j], or that added to it
template <class T>
void rows_of_tile(const T* weights, const RowsIn<T>& v, const Tile& t, const RowsOut<T>& out, bool add = false) {
  const PanelRows<T>& rows = panels(T());
  for_panels<T>(v.columns, [&](int64_t c, int64_t count, T* panel) {
    for (int64_t j = 0; j < t.keys; j += kPanelKeys) {
      const int64_t keys = std::min(kPanelKeys, t.keys - j);
      rows.pack(v.from + (t.key + j) * v.stride + c, v.stride, keys, count, panel);
      for (int64_t i = 0; i < t.rows; i += kTileRows) {
        const int64_t tall = std::min(kTileRows, t.rows - i);
        const int64_t first = std::clamp<int64_t>(t.own(i) - t.reach - j, 0, keys);
        const int64_t seen = std::clamp<int64_t>(t.own(i + tall - 1) - j, first, keys) - first;
        if (seen == 0 && (add || j > 0)) continue;
        rows.product({weights + i * t.keys + j + first, t.keys, 1}, tall, panel + first * rows.columns, seen, count,
                     out.to + (t.row + i) * out.stride + c, out.stride, add || j > 0);
      }
    }
  });
}

// out[key + j] += sum over rows of weights[i, j] g[row + i]; positions of the tile's own rows are written instead of added to.
template <class T>
void columns_of_tile(const T* weights, const RowsIn<T>& g, const Tile& t, const RowsOut<T>& out) {
  const PanelRows<T>& rows = panels(T());
  for_panels<T>(g.columns, [&](int64_t c, int64_t count, T* panel) {
    for (int64_t i = 0; i < t.rows; i += kPanelKeys) {
      const int64_t depth = std::min(kPanelKeys, t.rows - i);
      rows.pack(g.from + (t.row + i) * g.stride + c, g.stride, depth, count, panel);
      for (int64_t j = 0, wide = 0; j < t.keys; j += wide) {
        const int64_t earlier = t.row - t.key - j;  // keys of earlier tiles
        wide = std::min(kTileRows, earlier > 0 ? earlier : t.keys - j);
        const int64_t first = std::clamp<int64_t>(j + 1 - t.own(0) - i, 0, depth);
        const int64_t last = std::clamp<int64_t>(j + wide - t.own(0) + t.reach - i, first, depth);
        const bool add = earlier > 0 || i > 0;
        if (last == first && add) continue;
        rows.product({weights + (i + first) * t.keys + j, 1, t.keys}, wide, panel + first * rows.columns, last - first, count,
                     out.to + (t.key + j) * out.stride + c, out.stride, add);
      }
    }
  });
}

}  // namespace assay::ops
