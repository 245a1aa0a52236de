#pragma once
#include "assay/tensor/product.h"

namespace assay::optim {

// The orthogonal factor of each matrix of a batch [n, R, C], nearly: singular values go to 1, singular vectors stay. float32 or float64.
// With Precision::bf16 iterates, products and result are bfloat16 for a float32 G, as published.

// X = G / (1.1 |G|_F + 1e-7), then X <- X (1.5 I - 0.5 X^T X), on the side with the smaller Gram matrix. Singular values below about 0.2
// of the largest are far from 1 after the five published steps; `iterations` = 30 and more converge.
Tensor newton_schulz(const Tensor& G_nRC, int64_t iterations, tensor::Precision p);

// X = G / (1.02 |G|_F + 1e-6), then five times X <- a X + (b A + c A A) X, A = X X^T, with the published (a, b, c) of each step: singular
// values from 0.001 of the norm up land in 0.85 to 1.14.
Tensor polar_express(const Tensor& G_nRC, tensor::Precision p);

// NorMuon: V <- b V + (1 - b) mean(O^2) over columns (rows >= columns) or rows, then O t |O|_F / max(|O t|_F, 1e-10) with
// t = 1 / sqrt(max(V, 1e-10)). V [n, R, 1] or [n, 1, C] changes in place.
Tensor normuon_scaled(const Tensor& O_nRC, Tensor& V, double beta);
std::vector<int64_t> normuon_shape(int64_t rows, int64_t columns);  // of V for one matrix

}  // namespace assay::optim
