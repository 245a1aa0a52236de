#pragma once
#include <functional>
#include <vector>

#include "assay/arch/architecture.h"
#include "assay/arch/vocab/options.h"
#include "assay/layers/activation.h"

namespace assay::arch::vocab {

// What all models have in common whose hidden state is a vector over the vocabulary: no embedding, no output matrix.
//
//   x_t = rho(onehot(u_t));   steps of the variant: x <- x + delta;   logits = c tanh(gamma rho(x) / c)
//
// with rho(z) = z (mean(z^2) + eps)^(-1/2) over the vocabulary and the learned scalar gamma = logit_scale.
//
// A variant mixes positions only through the mixers below (or with `slot`), so that one description of its steps serves whole sequences and
// going on token by token from a memory.
class Skeleton : public Model {
 public:
  using Model::forward;
  Tensor forward(const Tensor& input, const Observer* observe) final;
  Tensor training_loss(const Tensor& ids_BT, const Tensor& targets_BT) override;  // the head and the loss as one op
  Tensor next(const Tensor& ids_B, Memory& memory) final;
  bool recurrent() const override { return !scores_.reversed_mask; }
  Tensor read_out(std::string_view name, const Tensor& state) final;  // every state is a vector over the vocabulary
  int64_t vocab_size() const final { return V_; }

 protected:
  // `vocab_size`: of the state. Options of groups that the variant does not have are left at their defaults.
  Skeleton(const CommonOptions& common, int64_t vocab_size, const tensor::Params& params, tensor::Precision precision,
           const ScoreOptions& scores = {})
      : common_(common), scores_(scores), V_(vocab_size), device_(params.device()), dtype_(params.dtype()), precision_(precision) {}
  // `logit_scale` is the last parameter of every variant, as in published state dicts' count; call `finish` after the variant's own.
  void finish(tensor::Params& params);

  // The variant: all its steps on the normalised one-hot state; calls `seen` with each state that a reader may want to look at.
  virtual Tensor steps(Tensor x_BTV, const Observer& seen) = 0;
  virtual Tensor embed(const Tensor& input) const;  // before the first norm; one-hot rows

  using Sublayer = std::function<Tensor(const Tensor& z_BTV)>;
  // A residual half-step:  x + gain f(rho(x)).  gain: one number, or one for each entry of the state. The norm and the sum are one pass over the state
  // each, forward and backward.
  Tensor half_step(const Tensor& x_BTV, const Tensor& gain, const Sublayer& f) const;
  // The same of an f that takes z in bfloat16, which it gets where `narrow` says so: f reads z in products, which round it themselves, or in the causal
  // convolution, which then rounds as PyTorch's autocast does. Without a gain it is 1.
  Tensor narrow_step(const Tensor& x_BTV, const Tensor& gain, const Sublayer& f) const;
  Tensor narrow_step(const Tensor& x_BTV, const Sublayer& f) const;
  Tensor normalised_operand(const Tensor& x_BTV) const;  // rho(x) as narrow_step hands it out
  // Mean cross-entropy of the head on a state, as one op.
  Tensor loss_of_state(const Tensor& x_BTV, const Tensor& targets_BT) const;
  Tensor rho(const Tensor& z) const;            // over the last axis
  Tensor head(const Tensor& normalised) const;  // logits
  Tensor table(const Tensor& values) const;     // constants of the model, from double: device, dtype, rounding
  Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {}) const;  // x W^T + b
  Tensor times(const Tensor& x, const Tensor& matrix) const;                            // x M
  // x W^T for several W [n, V]: one product, so that x is read and its gradient written once.
  std::vector<Tensor> linears(const Tensor& x, const std::vector<Tensor>& weights) const;
  tensor::Precision precision() const { return precision_; }
  bool bf16() const { return precision_ == tensor::Precision::bf16; }
  // Whether what a sublayer makes of the state is kept in bfloat16: where products have such operands and the device computes with them.
  bool narrow(const Tensor& x) const { return tensor::keeps_bf16(x, precision_); }
  const CommonOptions& common() const { return common_; }

  // Decay attention: o_t = sum_{s<t} lambda^(t-s-1) (q_t.k_s) v_s, lambda = sigmoid(decay_logit). One head: q, k [B, T, c], v [B, T, d],
  // decay_logit of one element. Several: [B, H, T, n] and decay_logit [H].
  Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& decay_logit);
  // x + gain DLA(z scale, z, z; decay_logit), z = rho(x): a half-step that copies the state itself, as one op where there is one.
  Tensor copy_step(const Tensor& x_BTV, const Tensor& gain, const Tensor& scale_V, const Tensor& decay_logit);
  // y_t = b + sum_j w_j z_{t-(kernel-1)+j}, channel by channel; w [V, 1, kernel].
  Tensor convolve(const Tensor& z_BTV, const Tensor& weight, const Tensor& bias);
  // y_t = sum_{s<t} d^(t-s) z_s with d [V] in (0, 1).
  Tensor leaky_sum(const Tensor& z_BTV, const Tensor& d_V);
  // This mixer's part of the memory, undefined at the first token; null where the whole sequence is at hand.
  Tensor* slot();
  int64_t position() const { return memory_ == nullptr ? 0 : memory_->position; }  // of the first token
  Tensor in_time(const Tensor& t, int64_t time_axis) const;                        // flipped where the mask is reversed

 private:
  Tensor step_of(const Tensor& x_BTV, bool bf16_operand, const Tensor& gain, const Sublayer& f) const;

  CommonOptions common_;
  ScoreOptions scores_;
  int64_t V_;
  at::Device device_;
  at::ScalarType dtype_;
  tensor::Precision precision_;
  Tensor logit_scale_, one_;
  Memory* memory_ = nullptr;
  size_t slot_ = 0;
};

// The state's width: what is configured, or where that is 0 the data's vocabulary.
int64_t vocabulary(int64_t configured, const Dims& dims);

// `dense`: multiply-adds a token of products with weights, `attention`: of the causal half of scores and values, `saved`: numbers a token
// that backward needs; of all steps.
Cost cost_of(double dense, double attention, double saved);

// What most cost formulas need, as doubles.
struct Sizes {
  double V, T;
  Sizes(const CommonOptions& c, const Dims& dims)
      : V(static_cast<double>(vocabulary(c.vocab_size, dims))), T(static_cast<double>(dims.seq_len)) {}
};

}  // namespace assay::arch::vocab
