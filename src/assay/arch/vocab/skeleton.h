#pragma once
#include "assay/arch/architecture.h"

namespace assay::arch::vocab {

// What all models have in common whose hidden state is a vector over the vocabulary: no embedding, no output matrix.
//
//   x_t = rho(onehot(u_t));   steps of the variant: x <- x + delta;   logits = c tanh(gamma rho(x) / c)
//
// with rho(z) = z (mean(z^2) + eps)^(-1/2) over the vocabulary and the learned scalar gamma = logit_scale.
class Skeleton : public Model {
 public:
  struct Common {
    int64_t vocab_size = 0;
    double logit_softcap = 30, rms_eps = 1.1920928955078125e-07;
  };
  using Model::forward;
  Tensor forward(const Tensor& input, const Observer* observe) final;
  Tensor training_loss(const Tensor& ids_BT, const Tensor& targets_BT) override;  // the head and the loss as one op
  Tensor read_out(std::string_view name, const Tensor& state) final;              // every state is a vector over the vocabulary
  int64_t vocab_size() const final { return common_.vocab_size; }

 protected:
  // `logit_scale` is the last parameter of every variant, as in published state dicts' count; call `finish` after the variant's own.
  Skeleton(const Common& common, tensor::Precision precision) : common_(common), precision_(precision) {}
  void finish(tensor::Params& params) { logit_scale_ = params.add("logit_scale", {}, tensor::constant(1)); }

  // The variant: all its steps on the normalised one-hot state; calls `seen` with each state that a reader may want to look at.
  virtual Tensor steps(Tensor x_BTV, const Observer& seen) = 0;

  Tensor rho(const Tensor& z) const;  // over the last axis
  tensor::Precision precision() const { return precision_; }
  // Whether what a sublayer makes of the state is kept in bfloat16: where products have such operands and the device computes with them.
  bool narrow(const Tensor& x) const { return precision_ == tensor::Precision::bf16 && x.is_cuda() && x.scalar_type() == at::kFloat; }
  const Common& common() const { return common_; }

 private:
  Tensor head(const Tensor& normalised) const;
  Common common_;
  tensor::Precision precision_;
  Tensor logit_scale_;
};

// The options that every variant's Config has; 0 means the data's vocabulary.
int64_t vocabulary(int64_t configured, const Dims& dims);

}  // namespace assay::arch::vocab
