#include "assay/optim/orthogonal.h"

#include <ATen/ops/bmm.h>
#include <ATen/ops/linalg_vector_norm.h>

#include <array>

namespace assay::optim {
namespace {

Tensor frobenius(const Tensor& X_nRC) { return at::linalg_vector_norm(X_nRC, 2, {1, 2}, true); }

Tensor rounded(const Tensor& X, tensor::Precision p) {
  return p == tensor::Precision::bf16 && X.scalar_type() == at::kFloat ? X.to(at::kBFloat16) : X;
}

}  // namespace

Tensor newton_schulz(const Tensor& G_nRC, int64_t iterations, tensor::Precision p) {
  const bool wide = G_nRC.size(1) < G_nRC.size(2);
  Tensor X = rounded(G_nRC / (frobenius(G_nRC) * 1.1 + 1e-7), p);
  if (wide) X = X.transpose(1, 2);
  for (int64_t i = 0; i < iterations; ++i) X = X * 1.5 - at::bmm(X, at::bmm(X.transpose(1, 2), X)) * 0.5;
  return (wide ? X.transpose(1, 2) : X).to(G_nRC.scalar_type()).contiguous();
}

Tensor polar_express(const Tensor& G_nRC, tensor::Precision p) {
  static constexpr std::array<std::array<double, 3>, 5> steps{{{8.156554524902461, -22.48329292557795, 15.878769915207462},
                                                               {4.042929935166739, -2.808917465908714, 0.5000178451051316},
                                                               {3.8916678022926607, -2.772484153217685, 0.5060648178503393},
                                                               {3.285753657755655, -2.3681294933425376, 0.46449024233003106},
                                                               {2.3465413258596377, -1.7097828382687081, 0.42323551169305323}}};
  const bool tall = G_nRC.size(1) > G_nRC.size(2);
  Tensor X = rounded(G_nRC / (frobenius(G_nRC) * 1.02 + 1e-6), p);
  if (tall) X = X.transpose(1, 2);
  for (const auto& [a, b, c] : steps) {
    const Tensor A = at::bmm(X, X.transpose(1, 2));
    X = X * a + at::bmm(A * b + at::bmm(A, A) * c, X);
  }
  return (tall ? X.transpose(1, 2) : X).to(G_nRC.scalar_type()).contiguous();
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
