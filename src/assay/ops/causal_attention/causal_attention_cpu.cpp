// Row tiles over the causal half: the T x T table never exists, tiles above the diagonal are never computed. Every product reads and
// writes its matrices where they lie. Tasks are (batch, head) pairs and share no result.
#include <algorithm>

#include "assay/ops/causal_attention/attention_rows.h"
#include "assay/ops/causal_attention/causal_attention.h"
#include "assay/ops/head_tasks.h"
#include "assay/tensor/tiles.h"

namespace assay::ops {
namespace {

using tensor::Precision;
using tensor::product_into;

constexpr int64_t kRows = 64;  // of a tile: 64 x 1024 scores are half of a second-level cache

const AttentionRow<float>& rows(float) { return attention_rows().f32; }
const AttentionRow<double>& rows(double) { return attention_rows().f64; }

// The tiles of one head: work(first row, rows, keys that the last of them sees).
template <class Work>
void for_each_tile(int64_t T, const Work& work) {
  for (int64_t row = 0; row < T; row += kRows) work(row, std::min(kRows, T - row), std::min(row + kRows, T));
}

template <class T>
void forward(const Tensor& out, const Tensor& q, const Tensor& k, const Tensor& v, T scale) {
  for_each_head(q, [&](int64_t b, int64_t h) {
    const Tensor q_h = q[b][h], k_h = k[b][h], v_h = v[b][h], out_h = out[b][h], memory = tile_memory(kRows, q.size(2), q.options());
    for_each_tile(q.size(2), [&](int64_t row, int64_t n, int64_t keys) {
      const Tensor scores = tile_in(memory, n, keys);
      product_into(scores, q_h.narrow(0, row, n), k_h.narrow(0, 0, keys).t(), Precision::fp32);
      T* s = scores.mutable_data_ptr<T>();
      for (int64_t i = 0; i < n; ++i) rows(T()).softmax(s + i * keys, row + i + 1, keys, scale);
      product_into(out_h.narrow(0, row, n), scores, v_h.narrow(0, 0, keys), Precision::fp32);
    });
  });
}

template <class T>
void backward(const AttentionGrads& to, const Tensor& g, const Tensor& q, const Tensor& k, const Tensor& v, T scale) {
  for_each_head(q, [&](int64_t b, int64_t h) {
    const Tensor q_h = q[b][h], k_h = k[b][h], v_h = v[b][h], g_h = g[b][h];
    const Tensor dq_h = to.q[b][h], dk_h = to.k[b][h], dv_h = to.v[b][h];
    dk_h.zero_();
    dv_h.zero_();
    const Tensor memory_p = tile_memory(kRows, q.size(2), q.options()), memory_ds = tile_memory(kRows, q.size(2), q.options());
    for_each_tile(q.size(2), [&](int64_t row, int64_t n, int64_t keys) {
      const Tensor p = tile_in(memory_p, n, keys), ds = tile_in(memory_ds, n, keys);
      const Tensor q_t = q_h.narrow(0, row, n), g_t = g_h.narrow(0, row, n);
      const Tensor k_t = k_h.narrow(0, 0, keys), v_t = v_h.narrow(0, 0, keys);
      product_into(p, q_t, k_t.t(), Precision::fp32);
      product_into(ds, g_t, v_t.t(), Precision::fp32);
      T *p_rows = p.mutable_data_ptr<T>(), *ds_rows = ds.mutable_data_ptr<T>();
      for (int64_t i = 0; i < n; ++i) rows(T()).backward(p_rows + i * keys, ds_rows + i * keys, row + i + 1, keys, scale);
      product_into(dq_h.narrow(0, row, n), ds, k_t, Precision::fp32);
      product_into(dk_h.narrow(0, 0, keys), ds.t(), q_t, Precision::fp32, true);
      product_into(dv_h.narrow(0, 0, keys), p.t(), g_t, Precision::fp32, true);
    });
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
