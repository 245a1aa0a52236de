#include "assay/tensor/fresh_gradients.h"

#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

namespace assay::tensor {
namespace {

// Runs when a pass has accumulated a parameter's gradient.
struct IntoBuffer final : torch::autograd::PostAccumulateGradHook {
  explicit IntoBuffer(Tensor part) : slot(std::move(part)) {}
  void operator()(const Tensor& parameter) override {
    Tensor& grad = parameter.mutable_grad();
    if (grad.const_data_ptr() == slot.const_data_ptr()) return;  // added in place
    const at::NoGradGuard no_grad;
    slot.copy_(grad);
    grad = slot;
  }
  Tensor slot;
};

}  // namespace

FreshGradients::FreshGradients(Params& params) : params_(params) {
  for (const Params::Entry& e : params_.entries())
    if (e.treatment.trained)
      torch::autograd::impl::set_post_acc_grad_hooks(e.value, std::make_unique<IntoBuffer>(params_.view(params_.grads(), e)));
}

void FreshGradients::begin() {
  for (const Params::Entry& e : params_.entries())
    if (e.treatment.trained) e.value.mutable_grad() = Tensor();
}

void FreshGradients::end() {
  const at::NoGradGuard no_grad;
  for (const Params::Entry& e : params_.entries()) {
    if (!e.treatment.trained || e.value.grad().defined()) continue;
    const Tensor slot = params_.view(params_.grads(), e);
    slot.zero_();
    e.value.mutable_grad() = slot;
  }
}

}  // namespace assay::tensor
