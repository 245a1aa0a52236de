#include "assay/arch/vocab/fourier.h"

#include <ATen/ops/softmax.h>

#include <cmath>
#include <numbers>

#include "assay/core/error.h"

namespace assay::arch::vocab {
namespace {

using tensor::normal;

Tensor filled(int64_t rows, int64_t columns, const std::function<double(int64_t row, int64_t column)>& value) {
  Tensor t = at::empty({rows, columns}, at::TensorOptions().dtype(at::kDouble));
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) t.data_ptr<double>()[r * columns + c] = value(r, c);
  return t;
}

}  // namespace

Tensor fourier_table(int64_t V, int64_t K) {
  if (2 * K >= V)
    throw core::ConfigError("model", "n_fourier_basis=" + std::to_string(K) + " harmonics need a vocabulary of more than " +
                                         std::to_string(2 * K) + ", got vocab_size=" + std::to_string(V));
  return filled(V, 2 * K, [&](int64_t v, int64_t column) {
    const double angle = 2 * std::numbers::pi * static_cast<double>((column / 2 + 1) * v % V) / static_cast<double>(V);
    return column % 2 == 0 ? std::cos(angle) : std::sin(angle);
  });
}

Tensor cosine_table(int64_t V, int64_t K) {
  return filled(V, K, [&](int64_t v, int64_t j) {
    return std::cos(std::numbers::pi * static_cast<double>((j + 1) * (2 * v + 1)) / static_cast<double>(2 * V));
  });
}

Tensor softmax_over_vocabulary(const Tensor& table_VF, const Tensor& A_CF) {
  return at::softmax(tensor::product(A_CF, table_VF.t(), tensor::Precision::fp32), -1);
}

ChannelMix::ChannelMix(tensor::Params& p, const std::string& prefix, int64_t C, int64_t F)
    : A_r_CF(p.add(prefix + "read_coeffs", {C, F}, normal(0.02))),
      A_w_CF(p.add(prefix + "write_coeffs", {C, F}, normal(0.02))),
      M_CC(p.add(prefix + "channel_mix", {C, C}, normal(0.02))),
      b_C(p.add(prefix + "bias", {C}, tensor::constant(0))),
      s(p.add(prefix + "out_scale", {}, tensor::constant(0.1))) {}

Tensor ChannelMix::hidden(const Tensor& z_BTV, const Tensor& table_VF, layers::Activation a, tensor::Precision p) const {
  return mixed(tensor::linear(z_BTV, reader(table_VF), {}, p), a, p);
}

Tensor ChannelMix::reader(const Tensor& table_VF) const { return softmax_over_vocabulary(table_VF, A_r_CF); }

Tensor ChannelMix::mixed(const Tensor& r_BTC, layers::Activation a, tensor::Precision p) const {
  return layers::activate(tensor::linear(r_BTC, M_CC.t(), b_C, p), a);
}

Tensor ChannelMix::spectrum(const Tensor& h_BTC, tensor::Precision p) const { return tensor::linear(h_BTC, A_w_CF.t(), {}, p) * s; }

// h W^T = (h A_w) table^T: through the few columns of the table instead of a V x C matrix.
Tensor ChannelMix::write(const Tensor& h_BTC, const Tensor& table_VF, tensor::Precision p) const {
  return tensor::linear(spectrum(h_BTC, p), table_VF, {}, p);
}

}  // namespace assay::arch::vocab
