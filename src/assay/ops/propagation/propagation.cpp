#include "assay/ops/propagation/propagation.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/rsqrt.h>
#include <torch/csrc/autograd/custom_function.h>

#include <array>
#include <cmath>
#include <limits>

#include "assay/ops/causal_tiles.h"
#include "assay/ops/decay_attention/decay_attention.h"
#include "assay/ops/head_tasks.h"
#include "assay/ops/panel_bf16_rows.h"
#include "assay/ops/propagation/propagation_tables.h"
#include "assay/ops/row_tasks.h"
#include "assay/tensor/first_order.h"

namespace assay::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Scores are saved in full: beyond this many positions for each number of a state they would be most of what is saved.
constexpr int64_t kPositions = 2;

Tensor table_of(int64_t length, const at::TensorOptions& options) { return at::empty({length, length}, options); }

template <class T>
T number(const Tensor& t) {
  return *t.const_data_ptr<T>();
}

template <class T>
void forward_one(const Tensor& x, const PropagationInputs<T>& in, T* scores, T* r, const Tensor& out) {
  const int64_t length = x.size(0), V = x.size(1), reach = in.weights.reach();
  const RowsIn<T> state(x);
  const Tile all{0, length, 0, length, reach};
  const Tensor table = table_of(length, x.options());
  T* mix = table.mutable_data_ptr<T>();
  for_rows(length, [&](int64_t t) { r[t] = propagation_row(T()).inverse_norm(state.from + t * V, V, static_cast<T>(in.eps)); });
  score_tile<T>(state, state, all, scores, in.scale);
  for_rows(length, [&](int64_t t) {
    const int64_t first = cleared(t, length, reach, {scores, mix}), at = t * length + first;
    propagation_row(T()).weigh({in.weights.of(t) + first, r + first, r[t], in.c, t - first}, scores + at, mix + at);
  });
  Tensor(out).copy_(x);
  rows_of_tile<T>(mix, state, all, RowsOut<T>(out), true);
}

// dx, and sums over the rows of x y / 2, panel by panel.
template <class T>
void gradient_of_state(const RowsIn<T>& g, const RowsIn<T>& x, const PropagationInputs<T>& in, const TableGrads<T>& table, const T* r,
                       int64_t length, T* dx, T* dscale) {
  const PanelRows<T>& products = panels(T());
  const int64_t V = x.columns, wide = products.columns, count = (V + wide - 1) / wide, reach = in.weights.reach();
  at::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
    const Tensor memory = at::empty({(2 * length + 2 * kTileRows) * wide}, c10::CppTypeToScalarType<T>::value);
    T *x_panel = memory.mutable_data_ptr<T>(), *g_panel = x_panel + length * wide, *y = g_panel + length * wide, *w = y + kTileRows * wide;
    std::vector<T> part(static_cast<size_t>(wide));
    std::vector<double> sums(static_cast<size_t>(wide));
    for (int64_t panel = begin; panel < end; ++panel) {
      const int64_t j = panel * wide, n = std::min(wide, V - j);
      products.pack(x.from + j, x.stride, length, n, x_panel);
      products.pack(g.from + j, g.stride, length, n, g_panel);
      std::fill(sums.begin(), sums.end(), 0.0);
      for (int64_t i = 0; i < length; i += kTileRows) {
        const int64_t tall = std::min(kTileRows, length - i), last = std::min(length, i + tall + reach);
        const auto sum_up = [&](const T* from, int64_t row, int64_t key, int64_t first, const T* right, T* to) {
          for (int64_t k = first; k < last; k += kPanelKeys)
            products.product({from + k * key, row, key}, tall, right + k * wide, std::min(last - k, kPanelKeys), n, to, wide, k > first);
        };
        sum_up(table.similar + i * length, length, 1, std::max<int64_t>(0, i - reach), x_panel, y);
        sum_up(table.mix + i, 1, length, i, g_panel, w);
        std::fill(part.begin(), part.end(), T(0));
        for (int64_t t = i; t < i + tall; ++t)
          propagation_row(T()).combine(g_panel + t * wide, x_panel + t * wide, y + (t - i) * wide, w + (t - i) * wide, in.scale + j,
                                       table.beta(t, r[t], V), n, dx + t * V + j, part.data());
        for (int64_t k = 0; k < n; ++k) sums[static_cast<size_t>(k)] += static_cast<double>(part[static_cast<size_t>(k)]);
      }
      for (int64_t k = 0; k < n; ++k) dscale[j + k] = static_cast<T>(sums[static_cast<size_t>(k)]);
    }
  });
}

template <class T>
PropagationInputs<T> inputs(const Tensor& scale, const Tensor& decay_logit, const Tensor& c, double eps, int64_t length) {
  return {scale.const_data_ptr<T>(), number<T>(c), eps, KeyWeights<T>(static_cast<double>(number<T>(decay_logit)), length)};
}

template <class T>
std::array<Tensor, 3> forward(const Tensor& x, const Tensor& scale, const Tensor& decay_logit, const Tensor& c, double eps, bool bf16) {
  const int64_t length = x.size(1);
  const Tensor out = at::empty_like(x), scores = at::empty({x.size(0), length, length}, x.options()),
               r = at::empty({x.size(0), length}, x.options());
  const PropagationInputs<T> in = inputs<T>(scale, decay_logit, c, eps, length);
  in_parallel(x.size(0), [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      T *scores_b = scores[b].mutable_data_ptr<T>(), *r_b = r[b].mutable_data_ptr<T>();
      if constexpr (std::is_same_v<T, float>) {
        if (bf16) {
          forward_in_bf16(x[b], in, scores_b, r_b, out[b]);
          continue;
        }
      }
      forward_one<T>(x[b], in, scores_b, r_b, out[b]);
    }
  });
  return {out, scores, r};
}

template <class T>
variable_list backward(const Tensor& g, const variable_list& saved, double eps, bool bf16) {
  const Tensor &x = saved[0], &scale = saved[1], &decay_logit = saved[2], &c = saved[3], &scores = saved[4], &r = saved[5];
  const int64_t B = x.size(0), length = x.size(1), V = x.size(2);
  const PropagationInputs<T> in = inputs<T>(scale, decay_logit, c, eps, length);
  const Tensor dx = at::empty_like(x), dscale = at::empty({B, V}, x.options()), dlogit = at::empty_like(decay_logit),
               dc = at::empty_like(c);
  std::vector<TableGrads<T>> tables(static_cast<size_t>(B));
  in_parallel(B, [&](int64_t begin, int64_t end) {
    const Tensor similar = table_of(length, x.options()), mix = table_of(length, x.options());
    for (int64_t b = begin; b < end; ++b) {
      TableGrads<T>& table = tables[static_cast<size_t>(b)];
      table.similar = similar.mutable_data_ptr<T>(), table.mix = mix.mutable_data_ptr<T>();
      const Tensor x_b = x[b], g_b = g[b];
      const T *scores_b = scores[b].const_data_ptr<T>(), *r_b = r[b].const_data_ptr<T>();
      T *dx_b = dx[b].mutable_data_ptr<T>(), *dscale_b = dscale[b].mutable_data_ptr<T>();
      if constexpr (std::is_same_v<T, float>) {
        if (bf16) {
          backward_in_bf16(g_b, x_b, in, scores_b, r_b, table, dx_b, dscale_b);
          continue;
        }
      }
      score_tile<T>(RowsIn<T>(g_b), RowsIn<T>(x_b), {0, length, 0, length, in.weights.reach()}, table.similar);
      gradients_of_table<T>(in, scores_b, r_b, length, table);
      gradient_of_state<T>(RowsIn<T>(g_b), RowsIn<T>(x_b), in, table, r_b, length, dx_b, dscale_b);
    }
  });
  double sum = 0, by_distance = 0;
  for (const TableGrads<T>& table : tables) sum += table.c, by_distance += table.by_distance;
  *dc.mutable_data_ptr<T>() = static_cast<T>(sum);
  const double one_minus_lambda = 1 / (1 + std::exp(static_cast<double>(number<T>(decay_logit))));
  *dlogit.mutable_data_ptr<T>() = static_cast<T>(one_minus_lambda * static_cast<double>(in.c) * by_distance);
  return {dx, dscale.sum(0), dlogit, dc};
}

struct Propagation : torch::autograd::Function<Propagation> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& scale, const Tensor& decay_logit, const Tensor& c, double eps,
                        bool bf16) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const Tensor dense = x.contiguous(), factor = scale.contiguous();
    const auto [out, scores, r] = x.scalar_type() == at::kDouble ? ops::forward<double>(dense, factor, decay_logit, c, eps, bf16)
                                                                 : ops::forward<float>(dense, factor, decay_logit, c, eps, bf16);
    ctx->save_for_backward({dense, factor, decay_logit, c, scores, r});
    ctx->saved_data["eps"] = eps;
    ctx->saved_data["bf16"] = bf16;
    return out;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& g) {
    const variable_list saved = ctx->get_saved_variables();
    const tensor::FirstOrderOnly once("propagation", g, saved);
    const double eps = ctx->saved_data["eps"].toDouble();
    const Tensor up = g[0].contiguous();
    const bool bf16 = ctx->saved_data["bf16"].toBool();
    variable_list grads =
        up.scalar_type() == at::kDouble ? ops::backward<double>(up, saved, eps, bf16) : ops::backward<float>(up, saved, eps, bf16);
    grads.resize(6);
    return grads;
  }
};

void check(const Tensor& x, const Tensor& scale, const Tensor& decay_logit, const Tensor& c, bool bf16) {
  TORCH_CHECK(x.dim() == 3 && propagates(x, bf16), "[propagation] x must be [B, T, V] float32 or float64 on a CPU with vectors, T at most ",
              kPositions, " V, got ", x.scalar_type(), " ", x.sizes(), " on ", x.device());
  TORCH_CHECK(scale.dim() == 1 && scale.size(0) == x.size(2), "[propagation] scale must be [V] = [", x.size(2), "], got ", scale.sizes());
  TORCH_CHECK(decay_logit.numel() == 1 && c.numel() == 1, "[propagation] decay_logit and c must be one number each, got ",
              decay_logit.sizes(), " and ", c.sizes());
  for (const Tensor& t : {scale, decay_logit, c})
    TORCH_CHECK(t.scalar_type() == x.scalar_type() && t.is_cpu(), "[propagation] dtypes or devices differ: ", t.scalar_type(), " on ",
                t.device(), " beside ", x.scalar_type());
}

}  // namespace

bool propagates(const Tensor& x, bool bf16) {
  if (bf16 && (x.scalar_type() != at::kFloat || !multiplies_bf16())) return false;
  return x.is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble) && x.size(1) <= kPositions * x.size(2) &&
         tensor::capability() != tensor::Capability::scalar;
}

Tensor propagation(const Tensor& x, const Tensor& scale, const Tensor& decay_logit, const Tensor& c, double eps, bool bf16) {
  check(x, scale, decay_logit, c, bf16);
  return Propagation::apply(x, scale, decay_logit, c, eps, bf16);
}

Tensor propagation_reference(const Tensor& x, const Tensor& scale, const Tensor& decay_logit, const Tensor& c, double eps) {
  const Tensor z = (x * at::rsqrt(x.square().mean(-1, true) + eps)).unsqueeze(1);
  return x + c * decay_attention_reference(z * scale, z, z, decay_logit.view({1})).squeeze(1);
}

}  // namespace assay::ops
