#include "assay/optim/orthogonal.h"

#include <ATen/ops/baddbmm.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/div.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/zeros.h>

#include <array>

namespace assay::optim {
namespace {

Tensor frobenius(const Tensor& X_nRC) { return at::linalg_vector_norm(X_nRC, 2, {1, 2}, true); }

// G / (factor |G|_F + eps), in the arithmetic of the products, written once.
Tensor normalised(const Tensor& G, double factor, double eps, tensor::Precision p) {
  const bool narrow = p == tensor::Precision::bf16 && G.scalar_type() == at::kFloat;
  Tensor X = at::empty(G.sizes(), G.options().dtype(narrow ? at::kBFloat16 : G.scalar_type()));
  return at::div_out(X, G, frobenius(G) * factor + eps);
}

// Sums are of Gram matrices alone, which are the small ones: X is read and written by products only.
Tensor plus_identity(Tensor Y, double a) {
  Y.diagonal(0, 1, 2).add_(a);
  return Y;
}
Tensor scaled_product(const Tensor& x, const Tensor& y, double c) { return at::baddbmm(at::zeros({1, 1, 1}, x.options()), x, y, 0, c); }

}  // namespace

Tensor newton_schulz(const Tensor& G_nRC, int64_t iterations, tensor::Precision p) {
  const bool wide = G_nRC.size(1) < G_nRC.size(2);
  Tensor X = normalised(G_nRC, 1.1, 1e-7, p);
  for (int64_t i = 0; i < iterations; ++i) {
    const Tensor Xt = X.transpose(1, 2), half = plus_identity(wide ? scaled_product(X, Xt, -0.5) : scaled_product(Xt, X, -0.5), 1.5);
    X = wide ? at::bmm(half, X) : at::bmm(X, half);
  }
  return X;
}

Tensor polar_express(const Tensor& G_nRC, tensor::Precision p) {
  static constexpr std::array<std::array<double, 3>, 5> steps{{{8.156554524902461, -22.48329292557795, 15.878769915207462},
                                                               {4.042929935166739, -2.808917465908714, 0.5000178451051316},
                                                               {3.8916678022926607, -2.772484153217685, 0.5060648178503393},
                                                               {3.285753657755655, -2.3681294933425376, 0.46449024233003106},
                                                               {2.3465413258596377, -1.7097828382687081, 0.42323551169305323}}};
  const bool tall = G_nRC.size(1) > G_nRC.size(2);
  Tensor X = normalised(G_nRC, 1.02, 1e-6, p);
  for (const auto& [a, b, c] : steps) {
    const Tensor Xt = X.transpose(1, 2), A = tall ? at::bmm(Xt, X) : at::bmm(X, Xt), P = plus_identity(at::baddbmm(A, A, A, b, c), a);
    X = tall ? at::bmm(X, P) : at::bmm(P, X);
  }
  return X;
}

std::vector<int64_t> normuon_shape(int64_t rows, int64_t columns) {
  return rows >= columns ? std::vector<int64_t>{rows, 1} : std::vector<int64_t>{1, columns};
}

Tensor normuon_scaled(const Tensor& O_nRC, Tensor& V, double beta) {
  const Tensor q = O_nRC.square().mean({V.size(2) == 1 ? 2 : 1}, true);
  V.lerp_(q, 1 - beta);
  const Tensor scaled = O_nRC * V.clamp_min(1e-10).rsqrt();
  return scaled * (frobenius(O_nRC) / frobenius(scaled).clamp_min(1e-10));
}

}  // namespace assay::optim
