// Row tiles over the causal half: the T x T table never exists, tiles above the diagonal are never computed, and keys so far
// away that their weight is below the smallest normal float are skipped (their weight is taken as 0). In the operands' own precision by our own
// products, which stop at the diagonal; in bfloat16 by the library's.
#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/library.h>

#include <cmath>
#include <limits>

#include "assay/ops/causal_tiles.h"
#include "assay/ops/decay_attention/decay_attention.h"
#include "assay/ops/head_tasks.h"
#include "assay/tensor/tiles.h"

namespace assay::ops {
namespace {

using tensor::operand_of;
using tensor::Precision;
using tensor::product_into;

// Rows of a tile. Our own products leave out the future to the row, so that few tiles cost nothing; a panel of their right operand is copied once a tile.
// A bfloat16 product of few rows costs little more than preparing its operands, so that fewer and larger tiles win there too, although more of their
// scores lie in the future (on AMX: 1.7, 1.3 and 1.2 ms a head for 64, 128 and 256 rows at T = 256 and 1024 channels, 23, 16 and 13 ms at T = 1024).
constexpr int64_t kRows = 256;

// lambda^n for n = 0 .. T-1, as far as it is a normal number.
template <class T>
std::vector<T> decay_powers(double logit, int64_t length) {
  const double log_lambda = -std::log1p(std::exp(-logit));
  std::vector<T> powers;
  for (int64_t n = 0; n < length; ++n) {
    const double p = std::exp(static_cast<double>(n) * log_lambda);
    if (p < static_cast<double>(std::numeric_limits<T>::min())) break;
    powers.push_back(static_cast<T>(p));
  }
  return powers;
}

// The keys that any row of the tile can see: s <= t - 1 for the last row, s >= t - reach for the first.
std::vector<Tile> tiles(int64_t length, int64_t reach) {
  std::vector<Tile> all;
  for (int64_t row = 0; row < length; row += kRows) {
    const int64_t rows = std::min(kRows, length - row), key = std::max<int64_t>(0, row - reach);
    all.push_back({row, rows, key, row + rows - key, reach});
  }
  return all;
}

// For each row, f(row of scores, first key, one past the last key that the row sees, t); what lies outside must be zeroed by f's caller.
template <class T>
void weigh(T* scores, const Tile& tile, const std::vector<T>& powers) {
  for (int64_t i = 0; i < tile.rows; ++i) {
    T* row = scores + i * tile.keys;
    const int64_t t = tile.row + i - tile.key;  // the row's own column
    const int64_t first = std::max<int64_t>(0, t - static_cast<int64_t>(powers.size())), last = std::min(t, tile.keys);
    std::fill(row, row + first, T(0));
    for (int64_t s = first; s < last; ++s) row[s] *= powers[static_cast<size_t>(t - s - 1)];
    std::fill(row + last, row + tile.keys, T(0));
  }
}

// scores P = q k^T and G = g v^T become w P and w G in place; returns sum (t-s-1) w P G.
template <class T>
double weigh_both(T* p, T* g, const Tile& tile, const std::vector<T>& powers) {
  double total = 0;
  for (int64_t i = 0; i < tile.rows; ++i) {
    T *prow = p + i * tile.keys, *grow = g + i * tile.keys;
    const int64_t t = tile.row + i - tile.key;
    const int64_t first = std::max<int64_t>(0, t - static_cast<int64_t>(powers.size())), last = std::min(t, tile.keys);
    double sum = 0;
    for (int64_t s = first; s < last; ++s) {
      const T w = powers[static_cast<size_t>(t - s - 1)], wp = prow[s] * w;
      sum += static_cast<double>(t - s - 1) * static_cast<double>(wp) * static_cast<double>(grow[s]);
      prow[s] = wp;
      grow[s] *= w;
    }
    for (T* row : {prow, grow}) {
      std::fill(row, row + first, T(0));
      std::fill(row + last, row + tile.keys, T(0));
    }
    total += sum;
  }
  return total;
}

struct Head {
  Tensor q, k, v;
};

// Where the library multiplies bfloat16 operands as they are, and where ours would be without vectors.
template <class T>
bool by_library(Precision p) {
  const bool bf16 = std::is_same_v<T, float> && p == Precision::bf16 && tensor::product_choice().native_bf16;
  return bf16 || tensor::capability() == tensor::Capability::scalar;
}

// An operand of our own products: in T, rows contiguous; with bf16 rounded, so that the products are those of rounded operands.
template <class T>
Tensor dense(const Tensor& a, Precision p) {
  constexpr auto type = c10::CppTypeToScalarType<T>::value;
  const Tensor exact = type == at::kFloat && p == Precision::bf16 ? a.to(at::kBFloat16).to(type) : a.to(type);
  return exact.stride(1) == 1 ? exact : exact.contiguous();
}
template <class T>
Tensor result_in(const Tensor& out) {  // the result itself, or where it is made before it is rounded
  constexpr auto type = c10::CppTypeToScalarType<T>::value;
  return out.scalar_type() == type ? out : at::empty(out.sizes(), out.options().dtype(type));
}
void hand_over(const Tensor& made, const Tensor& out) {
  if (!made.is_same(out)) Tensor(out).copy_(made);
}

// Tasks are (batch, head) pairs; a single pair leaves the threads to its products, whose sums do not depend on them.
template <class T>
void forward_head(const Head& in, const std::vector<T>& powers, Precision p, const Tensor& result) {
  const Tensor q = dense<T>(in.q, p), k = dense<T>(in.k, p), v = dense<T>(in.v, p), out = result_in<T>(result);
  const Tensor memory = tile_memory(kRows, q.size(0), q.options());
  for (const Tile& t : tiles(q.size(0), static_cast<int64_t>(powers.size()))) {
    const Tensor scores = tile_in(memory, t.rows, t.keys);
    score_tile<T>(RowsIn<T>(q), RowsIn<T>(k), t, scores.mutable_data_ptr<T>());
    weigh(scores.mutable_data_ptr<T>(), t, powers);
    rows_of_tile<T>(dense<T>(scores, p).template const_data_ptr<T>(), RowsIn<T>(v), t, RowsOut<T>(out));
  }
  hand_over(out, result);
}

template <class T>
double backward_head(const Tensor& g_head, const Head& in, const std::vector<T>& powers, Precision p, const Head& to) {
  double distance_sum = 0;
  const Tensor g = dense<T>(g_head, p), q = dense<T>(in.q, p), k = dense<T>(in.k, p), v = dense<T>(in.v, p);
  const Head d{result_in<T>(to.q), result_in<T>(to.k), result_in<T>(to.v)};
  const Tensor memory_p = tile_memory(kRows, q.size(0), q.options()), memory_g = tile_memory(kRows, q.size(0), q.options());
  for (const Tile& t : tiles(q.size(0), static_cast<int64_t>(powers.size()))) {
    const Tensor qk = tile_in(memory_p, t.rows, t.keys), gv = tile_in(memory_g, t.rows, t.keys);
    score_tile<T>(RowsIn<T>(q), RowsIn<T>(k), t, qk.mutable_data_ptr<T>());
    score_tile<T>(RowsIn<T>(g), RowsIn<T>(v), t, gv.mutable_data_ptr<T>());
    distance_sum += weigh_both(qk.mutable_data_ptr<T>(), gv.mutable_data_ptr<T>(), t, powers);
    const Tensor wp = dense<T>(qk, p), wg = dense<T>(gv, p);
    rows_of_tile<T>(wg.const_data_ptr<T>(), RowsIn<T>(k), t, RowsOut<T>(d.q));
    columns_of_tile<T>(wg.const_data_ptr<T>(), RowsIn<T>(q), t, RowsOut<T>(d.k));
    columns_of_tile<T>(wp.const_data_ptr<T>(), RowsIn<T>(g), t, RowsOut<T>(d.v));
  }
  hand_over(d.q, to.q), hand_over(d.k, to.k), hand_over(d.v, to.v);
  return distance_sum;
}

at::TensorOptions wide(const Tensor& t) { return t.scalar_type() == at::kBFloat16 ? t.options().dtype(at::kFloat) : t.options(); }

template <class T>
void forward_head_by_library(const Head& in, const std::vector<T>& powers, Precision p, const Tensor& out) {
  const Tensor q = operand_of(in.q, p), k = operand_of(in.k, p), v = operand_of(in.v, p);
  const Tensor memory = tile_memory(kRows, q.size(0), wide(q));
  for (const Tile& t : tiles(q.size(0), static_cast<int64_t>(powers.size()))) {
    const Tensor scores = tile_in(memory, t.rows, t.keys);
    product_into(scores, q.narrow(0, t.row, t.rows), k.narrow(0, t.key, t.keys).t(), p);
    weigh(scores.data_ptr<T>(), t, powers);
    product_into(out.narrow(0, t.row, t.rows), scores, v.narrow(0, t.key, t.keys), p);
  }
}

// The gradients of keys and values are sums over the tiles, made in their own memory where the operands are bfloat16.
template <class T>
double backward_head_by_library(const Tensor& g_head, const Head& in, const std::vector<T>& powers, Precision p, const Head& to) {
  double distance_sum = 0;
  const Tensor g = operand_of(g_head, p), q = operand_of(in.q, p), k = operand_of(in.k, p), v = operand_of(in.v, p);
  const auto all = tiles(q.size(0), static_cast<int64_t>(powers.size()));
  const bool several = all.size() > 1;
  const auto summed = [&](const Tensor& t) {
    if (!several) return t;
    return t.scalar_type() == at::kBFloat16 ? at::zeros(t.sizes(), wide(t)) : t.zero_();
  };
  const Head d{to.q, summed(to.k), summed(to.v)};
  const Tensor memory_p = tile_memory(kRows, q.size(0), wide(q)), memory_g = tile_memory(kRows, q.size(0), wide(q));
  for (const Tile& t : all) {
    const Tensor q_t = q.narrow(0, t.row, t.rows), g_t = g.narrow(0, t.row, t.rows);
    const Tensor k_t = k.narrow(0, t.key, t.keys), v_t = v.narrow(0, t.key, t.keys);
    const Tensor qk = tile_in(memory_p, t.rows, t.keys), gv = tile_in(memory_g, t.rows, t.keys);
    product_into(qk, q_t, k_t.t(), p);
    product_into(gv, g_t, v_t.t(), p);
    distance_sum += weigh_both(qk.data_ptr<T>(), gv.data_ptr<T>(), t, powers);
    const Tensor scores = operand_of(gv, p);
    product_into(d.q.narrow(0, t.row, t.rows), scores, k_t, p);
    product_into(d.k.narrow(0, t.key, t.keys), scores.t(), q_t, p, several);
    product_into(d.v.narrow(0, t.key, t.keys), operand_of(qk, p).t(), g_t, p, several);
  }
  hand_over(d.k, to.k), hand_over(d.v, to.v);
  return distance_sum;
}

template <class T>
std::vector<std::vector<T>> powers_of_heads(const Tensor& decay_logit, int64_t length) {
  std::vector<std::vector<T>> all;
  const Tensor logits = decay_logit.contiguous();
  for (int64_t h = 0; h < logits.numel(); ++h) all.push_back(decay_powers<T>(static_cast<double>(logits.data_ptr<T>()[h]), length));
  return all;
}

template <class T>
Tensor forward(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& decay_logit, Precision p) {
  const auto powers = powers_of_heads<T>(decay_logit, q.size(2));
  const Tensor out = at::empty_like(v, v.options(), at::MemoryFormat::Contiguous);
  for_each_head(q, [&](int64_t b, int64_t h) {
    const Head in{q[b][h], k[b][h], v[b][h]};
    const auto& head_powers = powers[static_cast<size_t>(h)];
    by_library<T>(p) ? forward_head_by_library<T>(in, head_powers, p, out[b][h]) : forward_head<T>(in, head_powers, p, out[b][h]);
  });
  return out;
}

template <class T>
DecayAttentionGrads backward(const Tensor& g, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& decay_logit, Precision p) {
  const auto powers = powers_of_heads<T>(decay_logit, q.size(2));
  const auto contiguous = at::MemoryFormat::Contiguous;
  const Tensor dq = at::empty_like(q, q.options(), contiguous), dk = at::empty_like(k, k.options(), contiguous),
               dv = at::empty_like(v, v.options(), contiguous), dlogit = at::zeros_like(decay_logit, decay_logit.options(), contiguous);
  const int64_t heads = q.size(1);
  std::vector<double> sums(static_cast<size_t>(q.size(0) * heads));
  for_each_head(q, [&](int64_t b, int64_t h) {
    const Head in{q[b][h], k[b][h], v[b][h]}, to{dq[b][h], dk[b][h], dv[b][h]};
    const auto& head_powers = powers[static_cast<size_t>(h)];
    sums[static_cast<size_t>(b * heads + h)] =
        by_library<T>(p) ? backward_head_by_library<T>(g[b][h], in, head_powers, p, to) : backward_head<T>(g[b][h], in, head_powers, p, to);
  });
  const Tensor logits = decay_logit.contiguous();
  for (int64_t h = 0; h < heads; ++h) {
    double sum = 0;
    for (int64_t b = 0; b < q.size(0); ++b) sum += sums[static_cast<size_t>(b * heads + h)];
    const double one_minus_lambda = 1 / (1 + std::exp(static_cast<double>(logits.data_ptr<T>()[h])));
    dlogit.data_ptr<T>()[h] = static_cast<T>(one_minus_lambda * sum);
  }
  return {dq, dk, dv, dlogit};
}

Precision precision(bool bf16) { return bf16 ? Precision::bf16 : Precision::fp32; }

Tensor decay_attention_cpu(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& decay_logit, bool bf16) {
  check_decay_attention(q, k, v, decay_logit);
  return q.scalar_type() == at::kDouble ? forward<double>(q, k, v, decay_logit, precision(bf16))
                                        : forward<float>(q, k, v, decay_logit, precision(bf16));
}

DecayAttentionGrads decay_attention_backward_cpu(const Tensor& grad, const Tensor& q, const Tensor& k, const Tensor& v,
                                                 const Tensor& decay_logit, bool bf16) {
  check_decay_attention(q, k, v, decay_logit);
  return q.scalar_type() == at::kDouble ? backward<double>(grad, q, k, v, decay_logit, precision(bf16))
                                        : backward<float>(grad, q, k, v, decay_logit, precision(bf16));
}

}  // namespace

TORCH_LIBRARY_IMPL(assay, CPU, m) {
  m.impl("decay_attention", decay_attention_cpu);
  m.impl("decay_attention_backward", decay_attention_backward_cpu);
}

}  // namespace assay::ops
