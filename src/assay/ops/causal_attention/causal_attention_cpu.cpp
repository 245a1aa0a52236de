// Row tiles over the causal half: the T x T table never exists, tiles above the diagonal are never computed. Every product reads and
// writes its matrices where they lie: products of our own, which stop at the diagonal, and without vectors the library's. Tasks are (batch, head)
// pairs and share no result.
#include <algorithm>

#include "assay/ops/causal_attention/attention_rows.h"
#include "assay/ops/causal_attention/causal_attention.h"
#include "assay/ops/causal_tiles.h"
#include "assay/ops/head_tasks.h"
#include "assay/tensor/tiles.h"

namespace assay::ops {
namespace {

using tensor::Precision;
using tensor::product_into;

constexpr int64_t kRows = 128;        // of a tile: sums are of so many terms anyway (kPanelKeys), and 256 rows leave the cache at T = 1024
constexpr int64_t kLibraryRows = 64;  // 64 x 1024 scores are half of a second-level cache

const AttentionRow<float>& rows(float) { return attention_rows().f32; }
const AttentionRow<double>& rows(double) { return attention_rows().f64; }

bool by_library() { return tensor::capability() == tensor::Capability::scalar; }

// Our products read no further behind a row's last key.
int64_t width(const Tile& t, int64_t i) { return std::min(t.own(i) + kTileRows - 1, t.keys); }

// The tiles of one head: work(tile), whose keys are those that its last row sees.
template <class Work>
void for_each_tile(int64_t T, int64_t most, const Work& work) {
  for (int64_t row = 0; row < T; row += most) {
    const int64_t n = std::min(most, T - row);
    work(Tile{row, n, 0, row + n, T, /*self=*/true});
  }
}

struct Head {
  Tensor q, k, v;
};
Head head(const Tensor& q, const Tensor& k, const Tensor& v, int64_t b, int64_t h) { return {q[b][h], k[b][h], v[b][h]}; }

template <class T>
void forward_head(const Head& in, const Tensor& out, T scale) {
  const int64_t length = in.q.size(0);
  const Tensor memory = tile_memory(kRows, length, in.q.options());
  T* s = memory.mutable_data_ptr<T>();
  for_each_tile(length, kRows, [&](const Tile& t) {
    score_tile<T>(RowsIn<T>(in.q), RowsIn<T>(in.k), t, s);
    for (int64_t i = 0; i < t.rows; ++i) rows(T()).softmax(s + i * t.keys, t.own(i), width(t, i), scale);
    rows_of_tile<T>(s, RowsIn<T>(in.v), t, RowsOut<T>(out));
  });
}

template <class T>
void backward_head(const Head& to, const Tensor& g, const Head& in, T scale) {
  const int64_t length = in.q.size(0);
  const Tensor memory_p = tile_memory(kRows, length, in.q.options()), memory_ds = tile_memory(kRows, length, in.q.options());
  T *p = memory_p.mutable_data_ptr<T>(), *ds = memory_ds.mutable_data_ptr<T>();
  for_each_tile(length, kRows, [&](const Tile& t) {
    score_tile<T>(RowsIn<T>(in.q), RowsIn<T>(in.k), t, p);
    score_tile<T>(RowsIn<T>(g), RowsIn<T>(in.v), t, ds);
    for (int64_t i = 0; i < t.rows; ++i) rows(T()).backward(p + i * t.keys, ds + i * t.keys, t.own(i), width(t, i), scale);
    rows_of_tile<T>(ds, RowsIn<T>(in.k), t, RowsOut<T>(to.q));
    columns_of_tile<T>(ds, RowsIn<T>(in.q), t, RowsOut<T>(to.k));
    columns_of_tile<T>(p, RowsIn<T>(g), t, RowsOut<T>(to.v));
  });
}

template <class T>
void forward_head_by_library(const Head& in, const Tensor& out, T scale) {
  const Tensor memory = tile_memory(kLibraryRows, in.q.size(0), in.q.options());
  for_each_tile(in.q.size(0), kLibraryRows, [&](const Tile& t) {
    const Tensor scores = tile_in(memory, t.rows, t.keys);
    product_into(scores, in.q.narrow(0, t.row, t.rows), in.k.narrow(0, 0, t.keys).t(), Precision::fp32);
    T* s = scores.mutable_data_ptr<T>();
    for (int64_t i = 0; i < t.rows; ++i) rows(T()).softmax(s + i * t.keys, t.own(i), t.keys, scale);
    product_into(out.narrow(0, t.row, t.rows), scores, in.v.narrow(0, 0, t.keys), Precision::fp32);
  });
}

template <class T>
void backward_head_by_library(const Head& to, const Tensor& g, const Head& in, T scale) {
  const Tensor memory_p = tile_memory(kLibraryRows, in.q.size(0), in.q.options()),
               memory_ds = tile_memory(kLibraryRows, in.q.size(0), in.q.options());
  to.k.zero_();
  to.v.zero_();
  for_each_tile(in.q.size(0), kLibraryRows, [&](const Tile& t) {
    const Tensor p = tile_in(memory_p, t.rows, t.keys), ds = tile_in(memory_ds, t.rows, t.keys);
    const Tensor q_t = in.q.narrow(0, t.row, t.rows), g_t = g.narrow(0, t.row, t.rows);
    const Tensor k_t = in.k.narrow(0, 0, t.keys), v_t = in.v.narrow(0, 0, t.keys);
    product_into(p, q_t, k_t.t(), Precision::fp32);
    product_into(ds, g_t, v_t.t(), Precision::fp32);
    T *p_rows = p.mutable_data_ptr<T>(), *ds_rows = ds.mutable_data_ptr<T>();
    for (int64_t i = 0; i < t.rows; ++i) rows(T()).backward(p_rows + i * t.keys, ds_rows + i * t.keys, t.own(i), t.keys, scale);
    product_into(to.q.narrow(0, t.row, t.rows), ds, k_t, Precision::fp32);
    product_into(to.k.narrow(0, 0, t.keys), ds.t(), q_t, Precision::fp32, true);
    product_into(to.v.narrow(0, 0, t.keys), p.t(), g_t, Precision::fp32, true);
  });
}

template <class T>
void forward(const Tensor& out, const Tensor& q, const Tensor& k, const Tensor& v, T scale) {
  for_each_head(q, [&](int64_t b, int64_t h) {
    const Head in = head(q, k, v, b, h);
    by_library() ? forward_head_by_library<T>(in, out[b][h], scale) : forward_head<T>(in, out[b][h], scale);
  });
}

template <class T>
void backward(const AttentionGrads& to, const Tensor& g, const Tensor& q, const Tensor& k, const Tensor& v, T scale) {
  for_each_head(q, [&](int64_t b, int64_t h) {
    const Head in = head(q, k, v, b, h), made = head(to.q, to.k, to.v, b, h);
    by_library() ? backward_head_by_library<T>(made, g[b][h], in, scale) : backward_head<T>(made, g[b][h], in, scale);
  });
}

void check(const Tensor& q, const Tensor& k, const Tensor& v, double scale) {
  TORCH_CHECK(q.dim() == 4 && k.sizes() == q.sizes() && v.sizes() == q.sizes(),
              "[causal_attention] q, k and v must be [B, H, T, d] of one shape, got ", q.sizes(), ", ", k.sizes(), " and ", v.sizes());
  TORCH_CHECK((q.scalar_type() == at::kFloat || q.scalar_type() == at::kDouble) && k.scalar_type() == q.scalar_type() &&
                  v.scalar_type() == q.scalar_type(),
              "[causal_attention] wants float32 or float64, got ", q.scalar_type(), ", ", k.scalar_type(), " and ", v.scalar_type());
  TORCH_CHECK(q.is_cpu() && k.is_cpu() && v.is_cpu(), "[causal_attention] these tiles are the CPU's, got ", q.device());
  TORCH_CHECK(scale >= 0, "[causal_attention] scale must be at least 0, got ", scale);
}

}  // namespace

void causal_attention_forward(const Tensor& out, const Tensor& q, const Tensor& k, const Tensor& v, double scale) {
  check(q, k, v, scale);
  if (q.scalar_type() == at::kDouble) forward<double>(out, q, k, v, scale);
  else forward<float>(out, q, k, v, static_cast<float>(scale));
}

void causal_attention_backward(const AttentionGrads& to, const Tensor& grad, const Tensor& q, const Tensor& k, const Tensor& v,
                               double scale) {
  check(q, k, v, scale);
  for (const Tensor& t : {to.q, to.k, to.v, grad})
    TORCH_CHECK(t.sizes() == q.sizes() && t.scalar_type() == q.scalar_type() && t.is_cpu() && t.stride(3) == 1,
                "[causal_attention] gradients must be as q with neighbouring numbers in the last axis, got ", t.scalar_type(), " ",
                t.sizes());
  if (q.scalar_type() == at::kDouble) backward<double>(to, grad, q, k, v, scale);
  else backward<float>(to, grad, q, k, v, static_cast<float>(scale));
}

}  // namespace assay::ops
