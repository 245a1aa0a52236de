#include "assay/ops/low_rank_step/low_rank_step.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/rsqrt.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <vector>

#include "assay/ops/causal_tiles.h"
#include "assay/ops/head_tasks.h"
#include "assay/ops/normalize/normalize_rows.h"
#include "assay/ops/residual/residual_rows.h"
#include "assay/tensor/first_order.h"

namespace assay::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kRows = 24;    // of a tile: two matrices of 24 x 1024 float32 are a fifth of a second-level cache of 1 MB
constexpr int64_t kPieces = 16;  // of the rows, whose sums for parameters are added in order
constexpr int64_t kHighestRank = 64;

const NormalizeRow<float>& norm(float) { return normalize_rows().f32; }
const NormalizeRow<double>& norm(double) { return normalize_rows().f64; }
const ResidualRow<float>& sum(float) { return residual_rows().f32; }
const ResidualRow<double>& sum(double) { return residual_rows().f64; }

// A matrix [V, R] as the products want it: by panels of its columns in `tall`, and of its transpose's in `wide`.
template <class T>
struct Narrow {
  explicit Narrow(const Tensor& matrix) : R(matrix.size(1)) {
    const PanelRows<T>& p = panels(T());
    const Tensor m = matrix.contiguous();
    const int64_t V = m.size(0), C = p.columns, talls = (R + C - 1) / C, wides = (V + C - 1) / C;
    const T* from = m.const_data_ptr<T>();
    memory_ = at::empty({(talls * V + wides * R) * C}, m.options());
    tall = memory_.mutable_data_ptr<T>(), wide = tall + talls * V * C;
    for (int64_t i = 0; i < talls; ++i) p.pack(from + i * C, R, V, std::min(C, R - i * C), tall + i * V * C);
    for (int64_t i = 0; i < wides; ++i) p.pack_transposed(from + i * C * R, R, R, std::min(C, V - i * C), nullptr, wide + i * R * C);
  }
  int64_t R;
  T *tall, *wide;

 private:
  Tensor memory_;
};

// to [n, R] = rows [n, V] times a matrix [V, R]
template <class T>
void shrink(const T* rows, int64_t n, int64_t V, const Narrow<T>& by, T* to) {
  const PanelRows<T>& p = panels(T());
  for (int64_t j = 0; j < by.R; j += p.columns)
    for (int64_t i = 0; i < n; i += kTileRows)
      for (int64_t k = 0; k < V; k += kPanelKeys)
        p.product({rows + i * V + k, V, 1}, std::min(kTileRows, n - i), by.tall + j * V + k * p.columns, std::min(kPanelKeys, V - k),
                  std::min(p.columns, by.R - j), to + i * by.R + j, by.R, k > 0);
}

// to [n, V] (+)= rows [n, R] times the transpose of a matrix [V, R]
template <class T>
void stretch(const T* rows, int64_t n, int64_t V, const Narrow<T>& by, T* to, bool add) {
  const int64_t columns = panels(T()).columns;
  for (int64_t j = 0; j < V; j += columns)
    for (int64_t i = 0; i < n; i += kTileRows)
      panels(T()).product({rows + i * by.R, by.R, 1}, std::min(kTileRows, n - i), by.wide + j * by.R, by.R, std::min(columns, V - j),
                          to + i * V + j, V, add);
}

// to [R, V] += the transpose of narrow [n, R] times wide [n, V]: libraries' and our own products both like the few columns on the left.
template <class T>
void outer(const T* narrow, const T* wide, int64_t n, int64_t V, int64_t R, T* panel, T* to) {
  const PanelRows<T>& p = panels(T());
  for (int64_t j = 0; j < V; j += p.columns) {
    const int64_t count = std::min(p.columns, V - j);
    p.pack(wide + j, V, n, count, panel);
    for (int64_t i = 0; i < R; i += kTileRows)
      p.product({narrow + i, 1, R}, std::min(kTileRows, R - i), panel, n, count, to + i * V + j, V, true);
  }
}

template <class T>
struct Operands {
  Operands(const Tensor& x_in, const variable_list& parameters, double eps_in, int64_t activation)
      : V(x_in.size(-1)),
        count(x_in.numel() / V),
        eps(static_cast<T>(eps_in)),
        x(x_in.const_data_ptr<T>()),
        U(parameters[0]),
        W(parameters[1]),
        terms{parameters[2].const_data_ptr<T>(), parameters[3].const_data_ptr<T>(), parameters[4].const_data_ptr<T>(), false, activation} {}
  int64_t V, count;
  T eps;
  const T* x;
  Narrow<T> U, W;
  ResidualTerms<T> terms;

  // z of rows [row, row + n)
  void normalised(int64_t row, int64_t n, T* z) const {
    for (int64_t i = 0; i < n; ++i) norm(T()).forward(x + (row + i) * V, nullptr, nullptr, V, eps, false, z + i * V, nullptr);
  }
};

template <class T>
void forward(const Operands<T>& in, T* h, T* out) {
  const int64_t V = in.V, R = in.U.R;
  in_parallel((in.count + kRows - 1) / kRows, [&](int64_t begin, int64_t end) {
    const Tensor memory = at::empty({2 * kRows * V}, c10::CppTypeToScalarType<T>::value);
    T *z = memory.mutable_data_ptr<T>(), *m = z + kRows * V;
    for (int64_t row = begin * kRows; row < std::min(in.count, end * kRows); row += kRows) {
      const int64_t n = std::min(kRows, in.count - row);
      in.normalised(row, n, z);
      shrink(z, n, V, in.U, h + row * R);
      stretch(h + row * R, n, V, in.W, m, false);
      for (int64_t i = 0; i < n; ++i) sum(T()).forward(in.x + (row + i) * V, m + i * V, z + i * V, in.terms, V, out + (row + i) * V);
    }
  });
}

// dx, and sums over the rows one after another: the transposes [R, V] of dU and dW, ddiag, dbias [V], dc.
template <class T>
void backward(const Operands<T>& in, const T* g, const T* h, T* dx, T* totals) {
  const int64_t V = in.V, R = in.U.R, numbers = 2 * V * R + 2 * V + 1;
  const int64_t tiles = (in.count + kRows - 1) / kRows, piece = (tiles + kPieces - 1) / kPieces;
  std::vector<T> sums(static_cast<size_t>(kPieces * numbers));
  in_parallel(kPieces, [&](int64_t begin, int64_t end) {
    const Tensor memory = at::empty({3 * kRows * V + kRows * (R + panels(T()).columns)}, c10::CppTypeToScalarType<T>::value);
    T *z = memory.mutable_data_ptr<T>(), *dm = z + kRows * V, *dz = dm + kRows * V, *dh = dz + kRows * V, *panel = dh + kRows * R;
    for (int64_t row = begin * piece * kRows; row < std::min(in.count, end * piece * kRows); row += kRows) {
      const int64_t n = std::min(kRows, in.count - row);
      T *dU = sums.data() + row / (piece * kRows) * numbers, *dW = dU + V * R, *ddiag = dW + V * R, *dbias = ddiag + V, *dc = dbias + V;
      in.normalised(row, n, z);
      stretch(h + row * R, n, V, in.W, dm, false);
      for (int64_t i = 0; i < n; ++i) {
        sum(T()).backward(g + (row + i) * V, dm + i * V, z + i * V, in.terms, V, dm + i * V, dz + i * V, ddiag, dbias, dc);
      }
      shrink(dm, n, V, in.W, dh);
      stretch(dh, n, V, in.U, dz, true);
      outer(h + row * R, dm, n, V, R, panel, dW);
      outer(dh, z, n, V, R, panel, dU);
      for (int64_t i = 0; i < n; ++i) {
        const int64_t at = (row + i) * V;
        norm(T()).backward(dz + i * V, nullptr, g + at, in.x + at, nullptr, V, in.eps, false, dx + at, nullptr, nullptr);
      }
    }
  });
  std::fill(totals, totals + numbers, T(0));
  for (int64_t p = 0; p < kPieces; ++p)
    for (int64_t i = 0; i < numbers; ++i) totals[i] += sums[static_cast<size_t>(p * numbers + i)];
}

struct LowRankStep : torch::autograd::Function<LowRankStep> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x_in, const Tensor& U, const Tensor& W, const Tensor& diag, const Tensor& bias,
                        const Tensor& c, double eps, int64_t activation) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const Tensor x = x_in.contiguous(), out = at::empty_like(x), h = at::empty({x.numel() / x.size(-1), U.size(1)}, x.options());
    const variable_list parameters{U, W, diag.contiguous(), bias.contiguous(), c};
    if (x.scalar_type() == at::kDouble)
      ops::forward<double>({x, parameters, eps, activation}, h.mutable_data_ptr<double>(), out.mutable_data_ptr<double>());
    else ops::forward<float>({x, parameters, eps, activation}, h.mutable_data_ptr<float>(), out.mutable_data_ptr<float>());
    ctx->save_for_backward({x, h, U, W, parameters[2], parameters[3], c});
    ctx->saved_data["eps"] = eps;
    ctx->saved_data["activation"] = activation;
    return out;
  }
  template <class T>
  static void gradients(AutogradContext* ctx, const variable_list& s, const Tensor& g, const Tensor& dx, const Tensor& totals) {
    const Operands<T> in(s[0], {s[2], s[3], s[4], s[5], s[6]}, ctx->saved_data["eps"].toDouble(), ctx->saved_data["activation"].toInt());
    ops::backward<T>(in, g.const_data_ptr<T>(), s[1].const_data_ptr<T>(), dx.mutable_data_ptr<T>(), totals.mutable_data_ptr<T>());
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& g) {
    const variable_list s = ctx->get_saved_variables();
    const tensor::FirstOrderOnly once("low_rank_step", g, s);
    const int64_t V = s[0].size(-1), R = s[2].size(1);
    const Tensor up = g[0].contiguous(), dx = at::empty_like(s[0]), totals = at::empty({2 * V * R + 2 * V + 1}, s[0].options());
    up.scalar_type() == at::kDouble ? gradients<double>(ctx, s, up, dx, totals) : gradients<float>(ctx, s, up, dx, totals);
    const auto part = [&](int64_t at, const Tensor& like) { return totals.narrow(0, at, like.numel()).clone().view(like.sizes()); };
    const auto turned = [&](int64_t at) { return totals.narrow(0, at, V * R).view({R, V}).t().contiguous(); };
    variable_list grads{dx, turned(0), turned(V * R), part(2 * V * R, s[4]), part(2 * V * R + V, s[5]), part(2 * V * R + 2 * V, s[6])};
    grads.resize(8);
    return grads;
  }
};

void check(const Tensor& x, const LowRankMap& map, const Tensor& c) {
  TORCH_CHECK(x.dim() >= 1 && map.U.dim() == 2 && maps_low_rank(x, map.U.size(1)),
              "[low_rank_step] x must be [..., V] float32 or float64 on a CPU with vectors and U [V, R], R at most ", kHighestRank,
              ", got ", x.scalar_type(), " ", x.sizes(), " on ", x.device(), " and ", map.U.sizes());
  TORCH_CHECK(map.U.size(0) == x.size(-1) && map.W.sizes() == map.U.sizes(), "[low_rank_step] U and W must be [", x.size(-1),
              ", R] alike, got ", map.U.sizes(), " and ", map.W.sizes());
  for (const Tensor& t : {map.diag, map.bias})
    TORCH_CHECK(t.dim() == 1 && t.size(0) == x.size(-1), "[low_rank_step] diag and bias must be [", x.size(-1), "], got ", t.sizes());
  TORCH_CHECK(c.numel() == 1, "[low_rank_step] c must be one number, got ", c.sizes());
  for (const Tensor& t : {map.U, map.W, map.diag, map.bias, c})
    TORCH_CHECK(t.scalar_type() == x.scalar_type() && t.is_cpu(), "[low_rank_step] dtypes or devices differ: ", t.scalar_type(), " on ",
                t.device(), " beside ", x.scalar_type());
}

}  // namespace

bool maps_low_rank(const Tensor& x, int64_t rank) {
  return x.is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble) && rank <= kHighestRank &&
         tensor::capability() != tensor::Capability::scalar;
}

Tensor low_rank_step(const Tensor& x, const LowRankMap& map, const Tensor& c, double eps) {
  check(x, map, c);
  return LowRankStep::apply(x, map.U, map.W, map.diag, map.bias, c, eps, static_cast<int64_t>(map.activation));
}

Tensor low_rank_step_reference(const Tensor& x, const LowRankMap& map, const Tensor& c, double eps) {
  const Tensor z = x * at::rsqrt(x.square().mean(-1, true) + eps);
  return residual_reference(
      x, {.m = z.matmul(map.U).matmul(map.W.t()), .bias = map.bias, .diag = map.diag, .z = z, .activation = map.activation}, c);
}

}  // namespace assay::ops
