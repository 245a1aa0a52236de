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
#include "assay/ops/propagation/propagation_rows.h"
#include "assay/ops/row_tasks.h"
#include "assay/tensor/first_order.h"

namespace assay::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

const PropagationRow<float>& rows(float) { return propagation_rows().f32; }
const PropagationRow<double>& rows(double) { return propagation_rows().f64; }

// Scores are saved in full: beyond this many positions for each number of a state they would be most of what is saved.
constexpr int64_t kPositions = 2;

template <class T>
T number(const Tensor& t) {
  return *t.const_data_ptr<T>();
}

// lambda^n as a row's keys meet them, the nearest last: those of row t are t numbers from of(t) on. Below the smallest normal number 0.
template <class T>
class Weights {
 public:
  Weights(double logit, int64_t length) : powers_(static_cast<size_t>(length)), length_(length) {
    const double log_lambda = -std::log1p(std::exp(-logit));
    for (int64_t n = 0; n < length; ++n) {
      const double p = std::exp(static_cast<double>(n) * log_lambda);
      if (p < static_cast<double>(std::numeric_limits<T>::min())) break;
      powers_[static_cast<size_t>(length - 1 - n)] = static_cast<T>(p), reach_ = n + 1;
    }
  }
  const T* of(int64_t t) const { return powers_.data() + length_ - t; }
  int64_t reach() const { return reach_; }

 private:
  std::vector<T> powers_;
  int64_t length_, reach_ = 0;
};

// Row t of the table from the first key on that it sees; what it does not see becomes 0 in all of `tables`.
template <class T>
int64_t cleared(int64_t t, int64_t length, int64_t reach, std::initializer_list<T*> tables) {
  const int64_t first = std::max<int64_t>(0, t - reach);
  for (T* table : tables) {
    std::fill(table + t * length, table + t * length + first, T(0));
    std::fill(table + t * length + t, table + (t + 1) * length, T(0));
  }
  return first;
}

template <class T>
struct Inputs {
  const T* scale;
  T c;
  double eps;
  Weights<T> weights;
};

Tensor table_of(int64_t length, const at::TensorOptions& options) { return at::empty({length, length}, options); }

template <class T>
void forward_one(const Tensor& x, const Inputs<T>& in, T* scores, T* r, const Tensor& out) {
  const int64_t length = x.size(0), V = x.size(1), reach = in.weights.reach();
  const RowsIn<T> state(x);
  const Tile all{0, length, 0, length, reach};
  const Tensor table = table_of(length, x.options());
  T* mix = table.mutable_data_ptr<T>();
  for_rows(length, [&](int64_t t) { r[t] = rows(T()).inverse_norm(state.from + t * V, V, static_cast<T>(in.eps)); });
  score_tile<T>(state, state, all, scores, in.scale);
  for_rows(length, [&](int64_t t) {
    const int64_t first = cleared(t, length, reach, {scores, mix}), at = t * length + first;
    rows(T()).weigh({in.weights.of(t) + first, r + first, r[t], in.c, t - first}, scores + at, mix + at);
  });
  Tensor(out).copy_(x);
  rows_of_tile<T>(mix, state, all, RowsOut<T>(out), true);
}

// What the table of scores gives before the state's gradient is made.
template <class T>
struct TableGrads {
  T *similar, *mix;     // dx_t = g_t + scale sum_s similar_ts x_s + sum_s mix_st g_s - beta_t x_t;  `similar` is symmetric
  std::vector<T> beta;  // of the norm
  double c = 0, by_distance = 0;
};

template <class T>
void gradients_of_table(const Inputs<T>& in, const T* scores, const T* r, int64_t length, int64_t V, TableGrads<T>& to) {
  std::vector<T> h(static_cast<size_t>(length)), columns(h), across(h);
  for (int64_t t = 0; t < length; ++t) {
    const int64_t first = cleared(t, length, in.weights.reach(), {to.similar, to.mix}), at = t * length + first;
    const ScoreSums<T> sums = rows(T()).gradient({in.weights.of(t) + first, r + first, r[t], in.c, t - first}, scores + at, to.similar + at,
                                                 to.mix + at, h.data(), columns.data() + first);
    across[static_cast<size_t>(t)] = sums.all;
    to.c += static_cast<double>(sums.all), to.by_distance += static_cast<double>(sums.by_distance);
  }
  for (int64_t t = 0; t < length; ++t)
    for (int64_t s = 0; s < t; ++s) to.similar[s * length + t] = to.similar[t * length + s];
  for (int64_t t = 0; t < length; ++t) {
    const auto i = static_cast<size_t>(t);
    to.beta.push_back(in.c * r[t] * r[t] * (across[i] + 2 * columns[i]) / static_cast<T>(V));
  }
}

// dx, and sums over the rows of x y / 2, panel by panel.
template <class T>
void gradient_of_state(const RowsIn<T>& g, const RowsIn<T>& x, const Inputs<T>& in, const TableGrads<T>& table, int64_t length, T* dx,
                       T* dscale) {
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
          rows(T()).combine(g_panel + t * wide, x_panel + t * wide, y + (t - i) * wide, w + (t - i) * wide, in.scale + j,
                            table.beta[static_cast<size_t>(t)], n, dx + t * V + j, part.data());
        for (int64_t k = 0; k < n; ++k) sums[static_cast<size_t>(k)] += static_cast<double>(part[static_cast<size_t>(k)]);
      }
      for (int64_t k = 0; k < n; ++k) dscale[j + k] = static_cast<T>(sums[static_cast<size_t>(k)]);
    }
  });
}

template <class T>
Inputs<T> inputs(const Tensor& scale, const Tensor& decay_logit, const Tensor& c, double eps, int64_t length) {
  return {scale.const_data_ptr<T>(), number<T>(c), eps, Weights<T>(static_cast<double>(number<T>(decay_logit)), length)};
}

template <class T>
std::array<Tensor, 3> forward(const Tensor& x, const Tensor& scale, const Tensor& decay_logit, const Tensor& c, double eps) {
  const int64_t length = x.size(1);
  const Tensor out = at::empty_like(x), scores = at::empty({x.size(0), length, length}, x.options()),
               r = at::empty({x.size(0), length}, x.options());
  const Inputs<T> in = inputs<T>(scale, decay_logit, c, eps, length);
  in_parallel(x.size(0), [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) forward_one<T>(x[b], in, scores[b].mutable_data_ptr<T>(), r[b].mutable_data_ptr<T>(), out[b]);
  });
  return {out, scores, r};
}

template <class T>
variable_list backward(const Tensor& g, const variable_list& saved, double eps) {
  const Tensor &x = saved[0], &scale = saved[1], &decay_logit = saved[2], &c = saved[3], &scores = saved[4], &r = saved[5];
  const int64_t B = x.size(0), length = x.size(1), V = x.size(2);
  const Inputs<T> in = inputs<T>(scale, decay_logit, c, eps, length);
  const Tensor dx = at::empty_like(x), dscale = at::empty({B, V}, x.options()), dlogit = at::empty_like(decay_logit),
               dc = at::empty_like(c);
  std::vector<TableGrads<T>> tables(static_cast<size_t>(B));
  in_parallel(B, [&](int64_t begin, int64_t end) {
    const Tensor similar = table_of(length, x.options()), mix = table_of(length, x.options());
    for (int64_t b = begin; b < end; ++b) {
      TableGrads<T>& table = tables[static_cast<size_t>(b)];
      table.similar = similar.mutable_data_ptr<T>(), table.mix = mix.mutable_data_ptr<T>();
      const Tensor x_b = x[b], g_b = g[b];
      score_tile<T>(RowsIn<T>(g_b), RowsIn<T>(x_b), {0, length, 0, length, in.weights.reach()}, table.similar);
      gradients_of_table<T>(in, scores[b].const_data_ptr<T>(), r[b].const_data_ptr<T>(), length, V, table);
      gradient_of_state<T>(RowsIn<T>(g_b), RowsIn<T>(x_b), in, table, length, dx[b].mutable_data_ptr<T>(), dscale[b].mutable_data_ptr<T>());
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
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& scale, const Tensor& decay_logit, const Tensor& c,
                        double eps) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const Tensor dense = x.contiguous(), factor = scale.contiguous();
    const auto [out, scores, r] = x.scalar_type() == at::kDouble ? ops::forward<double>(dense, factor, decay_logit, c, eps)
                                                                 : ops::forward<float>(dense, factor, decay_logit, c, eps);
    ctx->save_for_backward({dense, factor, decay_logit, c, scores, r});
    ctx->saved_data["eps"] = eps;
    return out;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& g) {
    const variable_list saved = ctx->get_saved_variables();
    const tensor::FirstOrderOnly once("propagation", g, saved);
    const double eps = ctx->saved_data["eps"].toDouble();
    const Tensor up = g[0].contiguous();
    variable_list grads = up.scalar_type() == at::kDouble ? ops::backward<double>(up, saved, eps) : ops::backward<float>(up, saved, eps);
    grads.emplace_back();
    return grads;
  }
};

void check(const Tensor& x, const Tensor& scale, const Tensor& decay_logit, const Tensor& c) {
  TORCH_CHECK(x.dim() == 3 && propagates(x), "[propagation] x must be [B, T, V] float32 or float64 on a CPU with vectors, T at most ",
              kPositions, " V, got ", x.scalar_type(), " ", x.sizes(), " on ", x.device());
  TORCH_CHECK(scale.dim() == 1 && scale.size(0) == x.size(2), "[propagation] scale must be [V] = [", x.size(2), "], got ", scale.sizes());
  TORCH_CHECK(decay_logit.numel() == 1 && c.numel() == 1, "[propagation] decay_logit and c must be one number each, got ",
              decay_logit.sizes(), " and ", c.sizes());
  for (const Tensor& t : {scale, decay_logit, c})
    TORCH_CHECK(t.scalar_type() == x.scalar_type() && t.is_cpu(), "[propagation] dtypes or devices differ: ", t.scalar_type(), " on ",
                t.device(), " beside ", x.scalar_type());
}

}  // namespace

bool propagates(const Tensor& x) {
  return x.is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble) && x.size(1) <= kPositions * x.size(2) &&
         tensor::capability() != tensor::Capability::scalar;
}

Tensor propagation(const Tensor& x, const Tensor& scale, const Tensor& decay_logit, const Tensor& c, double eps) {
  check(x, scale, decay_logit, c);
  return Propagation::apply(x, scale, decay_logit, c, eps);
}

Tensor propagation_reference(const Tensor& x, const Tensor& scale, const Tensor& decay_logit, const Tensor& c, double eps) {
  const Tensor z = (x * at::rsqrt(x.square().mean(-1, true) + eps)).unsqueeze(1);
  return x + c * decay_attention_reference(z * scale, z, z, decay_logit.view({1})).squeeze(1);
}

}  // namespace assay::ops
