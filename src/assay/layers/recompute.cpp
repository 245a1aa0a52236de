#include "assay/layers/recompute.h"

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

namespace assay::layers {
namespace {

struct Held : torch::CustomClassHolder {
  explicit Held(Recomputed function) : f(std::move(function)) {}
  Recomputed f;
};

struct Recompute : torch::autograd::Function<Recompute> {
  static Tensor forward(torch::autograd::AutogradContext* ctx, const Recomputed& f, at::TensorList list) {
    const std::vector<Tensor> inputs = list.vec();
    ctx->save_for_backward(inputs);
    ctx->saved_data["f"] = c10::IValue::make_capsule(c10::make_intrusive<Held>(f));
    return f(inputs);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx, const torch::autograd::variable_list& g) {
    const auto held = c10::static_intrusive_pointer_cast<Held>(ctx->saved_data["f"].toCapsule());
    std::vector<Tensor> inputs, wanted;
    torch::autograd::variable_list out(1);  // f itself
    for (const Tensor& saved : ctx->get_saved_variables()) {
      inputs.push_back(saved.is_leaf() ? saved : saved.detach().requires_grad_(true));  // f may hold leaves by itself
      if (saved.requires_grad()) wanted.push_back(inputs.back());
    }
    const at::AutoGradMode graph(true);
    const auto grads = torch::autograd::grad({held->f(inputs)}, wanted, {g[0]});
    auto next = grads.begin();
    for (const Tensor& t : inputs) out.push_back(t.requires_grad() ? *next++ : Tensor());
    return out;
  }
};

}  // namespace

Tensor recompute(const Recomputed& f, const std::vector<Tensor>& inputs) {
  return Recompute::apply(f, at::TensorList(inputs));  // a list, not a vector: only that is searched for what wants a gradient
}

}  // namespace assay::layers
