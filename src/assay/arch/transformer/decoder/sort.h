#pragma once
#include "assay/arch/transformer/decoder/part.h"

// The sort layer: after a block every position moves towards what resembles it among the last W positions [components 3].
//   alpha = sigmoid(a), kappa = exp(-tau);   s_tj = kappa sim(x_t, x_j),  j in W_t = [max(0, t-W+1), t]
//   p_t = exp(s_t - max s_t) / (sum exp(s_t - max s_t) + 1e-8);   x_t <- (1 - alpha) x_t + alpha sum_j p_tj x_j
//   sort_sim=dot    sim = x_t.x_j / sqrt(C)
//   sort_sim=cos    sim = x_t.x_j / (max(|x_t|, 1e-8) max(|x_j|, 1e-8))
//   sort_sim=mean   sim = 0: the mean of the window, the control of any similarity (no tau)
// With W = 1 it is the identity, a control that costs what the layer costs: its scalars have no gradient beyond the guard's 1e-8 and stay.
// The published kernel drops the term -G_t.x_t from dL/da wherever the window holds more than one position (sort_alpha_grad=shipped).
namespace assay::arch::decoder {

struct SortConfig {
  int64_t sort_window = 0;
  std::string sort_sim = "dot", sort_alpha_grad = "correct";
  bool sort_exclude_self = false;
  std::vector<int64_t> sort_layers;
  static const core::Schema& schema();

  bool on() const { return sort_window > 0; }
  bool in_layer(int64_t l) const;
  void check(int64_t layers) const;
  double macs(double width, double T) const;
};

// tau is not read where sort_sim=mean.
Tensor sort(const SortConfig& c, const Tensor& x_BTC, const Tensor& a, const Tensor& tau);

class Sort {
 public:
  Sort() = default;
  Sort(const SortConfig& c, const Builder& b, const std::string& name);
  Tensor operator()(const Tensor& x_BTC) const { return sort(config_, x_BTC, a_, tau_); }

 private:
  SortConfig config_;
  Tensor a_, tau_;
};

}  // namespace assay::arch::decoder
