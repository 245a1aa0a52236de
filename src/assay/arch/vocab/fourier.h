#pragma once
#include "assay/layers/activation.h"
#include "assay/tensor/init.h"
#include "assay/tensor/params.h"
#include "assay/tensor/product.h"

// Maps between the vocabulary and a few channels whose weights are smooth functions of the token's number.
namespace assay::arch::vocab {

// Phi [V, 2K] in double:  Phi[v, 2(f-1)] = cos(2 pi f v / V),  Phi[v, 2(f-1)+1] = sin(2 pi f v / V),  f = 1..K. ConfigError unless 2K < V: from
// V/2 on columns vanish or repeat.
Tensor fourier_table(int64_t V, int64_t K);

// Psi [V, K] in double:  Psi[v, j] = cos(pi (j+1) (2v+1) / (2V)),  j = 0..K-1.
Tensor cosine_table(int64_t V, int64_t K);

// softmax over the vocabulary of (A table^T): [C, V], each row sums to 1. table [V, F], A [C, F].
Tensor softmax_over_vocabulary(const Tensor& table_VF, const Tensor& A_CF);

// Channel mix:  s act((z R) M + b) W^T  with R = softmax_v(table A_r^T), W = table A_w^T.
class ChannelMix {
 public:
  // Parameters read_coeffs, write_coeffs [C, F], channel_mix [C, C], bias [C], out_scale under `prefix`.
  ChannelMix(tensor::Params& params, const std::string& prefix, int64_t C, int64_t F);
  Tensor reader(const Tensor& table_VF) const;                                         // softmax_v(A_r table^T) = R^T [C, V]
  Tensor mixed(const Tensor& r_BTC, layers::Activation a, tensor::Precision p) const;  // act(r M + b), r = z R
  Tensor hidden(const Tensor& z_BTV, const Tensor& table_VF, layers::Activation a, tensor::Precision p) const;  // act((z R) M + b)
  Tensor spectrum(const Tensor& h_BTC, tensor::Precision p) const;                       // s h A_w, of which the table makes s h W^T
  Tensor write(const Tensor& h_BTC, const Tensor& table_VF, tensor::Precision p) const;  // s h W^T
  Tensor operator()(const Tensor& z_BTV, const Tensor& table_VF, layers::Activation a, tensor::Precision p) const {
    return write(hidden(z_BTV, table_VF, a, p), table_VF, p);
  }

 private:
  Tensor A_r_CF, A_w_CF, M_CC, b_C, s;
};

// Multiply-adds a token of one channel mix.
inline double channel_mix_cost(double V, double C, double F) { return V * C + C * C + C * F + V * F; }

}  // namespace assay::arch::vocab
