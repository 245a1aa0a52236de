#include "assay/layers/shift_max.h"

#include <ATen/ops/gather.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/scatter_add.h>
#include <torch/csrc/autograd/custom_function.h>

#include "assay/core/error.h"
#include "assay/ops/shift_max/shift_max.h"

namespace assay::layers {
namespace {

void check(int64_t k, double tau) {
  if (k < 1) throw core::ConfigError("shift_max", "sharpness k=" + std::to_string(k) + "; wanted an integer of at least 1");
  if (!(tau > 0)) throw core::ConfigError("shift_max", "temperature tau=" + std::to_string(tau) + "; wanted more than 0");
}

// a - mean(a): the mean was taken off on the way in.
Tensor centred(const Tensor& a) { return a - a.mean(-1, true); }

struct ShiftMaxNll : torch::autograd::Function<ShiftMaxNll> {
  static Tensor forward(torch::autograd::AutogradContext* ctx, const Tensor& z, const Tensor& targets, int64_t k, double tau) {
    const ops::ShiftMaxParts f = ops::shift_max_parts(z, k, tau);
    ctx->save_for_backward({f.p, f.h, targets});
    ctx->saved_data["tau"] = tau;
    return at::gather(f.p, -1, targets.unsqueeze(-1)).squeeze(-1).log().neg();
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx, const torch::autograd::variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const Tensor &p = saved[0], &h = saved[1], index = saved[2].unsqueeze(-1);
    const Tensor error = at::scatter_add(p, -1, index, at::ones_like(index, p.options()).neg());
    return {centred(h * error / ctx->saved_data["tau"].toDouble()) * grads[0].unsqueeze(-1), Tensor(), Tensor(), Tensor()};
  }
};

}  // namespace

Tensor shift_max(const Tensor& z, int64_t k, double tau) {
  check(k, tau);
  return ops::shift_max(z, k, tau);
}

Tensor shift_max_nll(const Tensor& z, const Tensor& targets, int64_t k, double tau) {
  check(k, tau);
  return ShiftMaxNll::apply(z, targets, k, tau);
}

}  // namespace assay::layers
