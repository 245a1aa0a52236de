#pragma once
#include "assay/arch/vocab/skeleton.h"

// Steps that read a window of the vocabulary, work on it and write to another window.
namespace assay::arch::vocab {

// k neighbouring token numbers from `first` on, wrapping around the end of the vocabulary.
struct Window {
  int64_t first, k;
};
struct Windows {
  Window read, write;
};

// Of step i of `total`: reads start i floor(V / total) further, writes half a vocabulary behind them. ConfigError where k > V.
Windows windows_of(int64_t i, int64_t total, int64_t V, int64_t k);

// x restricted to the window: [B, T, k].
Tensor read(const Tensor& x_BTV, const Window& w);
// x with o [B, T, k] added inside of the window.
Tensor add(const Tensor& x_BTV, const Tensor& o_BTk, const Window& w);

// The published greedy grouping of steps that may run at once: members read the same state, groups run in order of creation. Two steps conflict
// if one writes where the other reads or writes. A step can overtake an earlier one on which it depends: this is then another function.
std::vector<std::vector<size_t>> waves(const std::vector<Windows>& steps, int64_t V);

// Attention inside of a window:  Mem(g) = s DLA(g W_q^T / sqrt(k), g W_k^T, g W_v^T; sigmoid(delta)) W_o^T.
struct SliceMemory {
  Tensor W_q_kk, W_k_kk, W_v_kk, W_o_kk, delta, s;
};

//   g = x[read];  g <- g + mem_scale Mem(rho_k(g));  o = write_scale / sqrt(k) act(rho_k(g) W_down^T + b) W_up^T
struct SliceStep {
  SliceMemory memory;
  Tensor mem_scale, W_down_hk, W_up_kh, b_h, write_scale;
  std::vector<Tensor> parameters() const;
};

class Sliced : public Skeleton {
 protected:
  using Skeleton::Skeleton;
  static SliceMemory add_memory(tensor::Params& p, const std::string& prefix, int64_t k, double decay_init);
  static SliceStep add_step(tensor::Params& p, const std::string& prefix, int64_t k, int64_t h, double decay_init);

  Tensor gather(const SliceMemory& m, const Tensor& mem_scale, const Tensor& x_BTV, const Window& window);  // g
  Tensor output(const SliceStep& s, const Tensor& g_BTk, layers::Activation a) const;                       // o

 private:
  Tensor remember(const SliceMemory& m, const Tensor& g_BTk);  // Mem / s
};

// Steps o_i one after the other, or in waves whose members read the same x:  x <- x + scatter(o_i(x), write_i).
class SteppedSlices : public Sliced {
 protected:
  SteppedSlices(const CommonOptions& common, const ActivationOptions& activation, const ScoreOptions& scores, const WaveOptions& waves,
                int64_t vocab_size, const tensor::Params& params, tensor::Precision precision)
      : Sliced(common, vocab_size, params, precision, scores),
        activation_(layers::activation_from(activation.activation, activation.activation_fallback, true)),
        waves_(waves) {}
  void add_steps(tensor::Params& p, int64_t k, double decay_init);

 private:
  Tensor steps(Tensor x_BTV, const Observer& seen) final;
  Tensor delta(size_t i, const Tensor& x_BTV);

  layers::Activation activation_;
  WaveOptions waves_;
  std::vector<Windows> windows_;
  std::vector<SliceStep> steps_;
  std::vector<std::vector<size_t>> groups_;
};

// Of N slice steps of width k with an MLP of width h, at length T.
inline Cost slice_steps_cost(double N, double k, double h, double T) {
  return cost_of(N * (4 * k * k + 2 * k * h), N * T * k, N * (8 * k + 2 * h));
}

}  // namespace assay::arch::vocab
