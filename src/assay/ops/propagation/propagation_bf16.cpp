// The op with bfloat16 operands: the state's rows are rounded once, tables before each product; sums, weights, the norm and the state stay float32. The
// norm's factors are in the rounded rows, so that tables are made with factors of 1.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include "assay/ops/causal_tiles.h"
#include "assay/ops/panel_bf16_rows.h"
#include "assay/ops/propagation/propagation_tables.h"
#include "assay/ops/row_tasks.h"

namespace assay::ops {
namespace {

// A matrix of bfloat16 whose rows are whole pairs, the last of an odd row with a 0.
class Pairs {
 public:
  Pairs(int64_t rows, int64_t n) : n_(n), pairs_((n + 1) / 2), memory_(at::empty({rows, pairs_}, at::kFloat)) {}
  // Row i from n float32 numbers, times factor and columns.
  void set(int64_t i, const float* from, float factor, const float* columns = nullptr) const {
    panel_bf16_rows().round(from, columns, factor, n_, memory_.mutable_data_ptr<float>() + i * pairs_);
  }
  RowsIn<float> words() const { return RowsIn<float>(memory_); }

 private:
  int64_t n_, pairs_;
  Tensor memory_;
};

Pairs rounded_rows(const float* x, int64_t rows, int64_t n, const float* factor) {
  const Pairs to(rows, n);
  for_rows(rows, [&](int64_t i) { to.set(i, x + i * n, factor == nullptr ? 1 : factor[i]); });
  return to;
}

PanelRows<float> panels_of_pairs() {
  PanelRows<float> p = panels(float());
  p.product = panel_bf16_rows().product;
  return p;
}

// sums[i, j] of the rows i .. i + tall - 1 of a table over positions [first, last) of a panel.
void sum_pairs(const Pairs& table, int64_t i, int64_t tall, int64_t first, int64_t last, const float* panel, int64_t n, float* sums,
               int64_t stride, bool add) {
  const RowsIn<float> words = table.words();
  const int64_t from = first / 2, keys = (last + 1) / 2 - from, wide = panels(float()).columns;
  panel_bf16_rows().product({words.from + i * words.stride + from, words.stride, 1}, tall, panel + from * wide, keys, n, sums, stride, add);
}

// work(first column, columns, memory of `numbers` floats) for each panel of V columns.
template <class Work>
void for_columns(int64_t V, int64_t numbers, const Work& work) {
  const int64_t wide = panels(float()).columns;
  at::parallel_for(0, (V + wide - 1) / wide, 1, [&](int64_t begin, int64_t end) {
    const Tensor memory = at::empty({numbers}, at::kFloat);
    for (int64_t j = begin * wide; j < std::min(V, end * wide); j += wide) work(j, std::min(wide, V - j), memory.mutable_data_ptr<float>());
  });
}

}  // namespace

void forward_in_bf16(const Tensor& x, const PropagationInputs<float>& in, float* scores, float* r, const Tensor& out) {
  const int64_t length = x.size(0), V = x.size(1), wide = panels(float()).columns, reach = in.weights.reach();
  const float* state = x.const_data_ptr<float>();
  const std::vector<float> ones(static_cast<size_t>(length), 1.0F);
  const Pairs z(length, V), q(length, V), mix(length, length);
  for_rows(length, [&](int64_t t) { r[t] = propagation_row(float()).inverse_norm(state + t * V, V, static_cast<float>(in.eps)); });
  for_rows(length, [&](int64_t t) {
    z.set(t, state + t * V, r[t]);
    q.set(t, state + t * V, r[t], in.scale);
  });
  score_tile<float>(q.words(), z.words(), {0, length, 0, length, reach}, scores, nullptr, panels_of_pairs());
  at::parallel_for(0, length, kRowsOfTask, [&](int64_t begin, int64_t end) {
    std::vector<float> row(static_cast<size_t>(length));
    for (int64_t t = begin; t < end; ++t) {
      const int64_t first = cleared(t, length, reach, {scores}), at = t * length + first;
      std::fill(row.begin(), row.end(), 0.0F);
      propagation_row(float()).weigh({in.weights.of(t) + first, ones.data(), 1, in.c, t - first}, scores + at, row.data() + first);
      mix.set(t, row.data(), 1);
    }
  });
  Tensor(out).copy_(x);
  float* to = out.mutable_data_ptr<float>();
  for_columns(V, (length + 1) * wide, [&](int64_t j, int64_t n, float* panel) {
    panel_bf16_rows().pack(state + j, V, length, n, r, panel);
    for (int64_t i = 0; i < length; i += kTileRows) {
      const int64_t tall = std::min(kTileRows, length - i);
      sum_pairs(mix, i, tall, std::max<int64_t>(0, i - reach), i + tall, panel, n, to + i * V + j, V, true);
    }
  });
}

void backward_in_bf16(const Tensor& g, const Tensor& x, const PropagationInputs<float>& in, const float* scores, const float* r,
                      TableGrads<float>& table, float* dx, float* dscale) {
  const int64_t length = x.size(0), V = x.size(1), wide = panels(float()).columns, reach = in.weights.reach();
  const float *state = x.const_data_ptr<float>(), *up = g.const_data_ptr<float>();
  const std::vector<float> ones(static_cast<size_t>(length), 1.0F);
  score_tile<float>(rounded_rows(up, length, V, nullptr).words(), rounded_rows(state, length, V, r).words(), {0, length, 0, length, reach},
                    table.similar, nullptr, panels_of_pairs());
  gradients_of_table<float>(in, scores, ones.data(), length, table);
  const Tensor turned = at::empty({length, length}, at::kFloat);
  turn(table.mix, turned.mutable_data_ptr<float>(), length);
  const Pairs similar = rounded_rows(table.similar, length, length, r),
              mix = rounded_rows(turned.const_data_ptr<float>(), length, length, r);
  for_columns(V, (2 * length + 2 + 2 * kTileRows) * wide, [&](int64_t j, int64_t n, float* x_panel) {
    float *g_panel = x_panel + (length + 1) * wide, *y = g_panel + (length + 1) * wide, *w = y + kTileRows * wide;
    std::vector<float> part(static_cast<size_t>(wide));
    std::vector<double> sums(static_cast<size_t>(wide));
    panel_bf16_rows().pack(state + j, V, length, n, r, x_panel);
    panel_bf16_rows().pack(up + j, V, length, n, nullptr, g_panel);
    for (int64_t i = 0; i < length; i += kTileRows) {
      const int64_t tall = std::min(kTileRows, length - i), last = std::min(length, i + tall + reach);
      sum_pairs(similar, i, tall, std::max<int64_t>(0, i - reach), last, x_panel, n, y, wide, false);
      sum_pairs(mix, i, tall, i, last, g_panel, n, w, wide, false);
      std::fill(part.begin(), part.end(), 0.0F);
      for (int64_t t = i; t < i + tall; ++t)
        propagation_row(float()).combine(up + t * V + j, state + t * V + j, y + (t - i) * wide, w + (t - i) * wide, in.scale + j,
                                         table.beta(t, r[t], V), n, dx + t * V + j, part.data());
      for (int64_t k = 0; k < n; ++k) sums[static_cast<size_t>(k)] += static_cast<double>(part[static_cast<size_t>(k)]);
    }
    for (int64_t k = 0; k < n; ++k) dscale[j + k] = static_cast<float>(sums[static_cast<size_t>(k)]);
  });
}

}  // namespace assay::ops
