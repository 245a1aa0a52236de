#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <doctest/doctest.h>
#include <torch/csrc/autograd/autograd.h>

#include "assay/tensor/fresh_gradients.h"

using namespace assay;

namespace {

// a in its layout, b by a transposed gradient, c used twice, d not at all, e fixed.
struct Small {
  tensor::Params params{at::Device(at::kCPU), at::kDouble, 7};
  Tensor a = params.add("a", {3, 5}, tensor::normal(1)), b = params.add("b", {5, 3}, tensor::normal(1)),
         c = params.add("c", {3}, tensor::normal(1)), d = params.add("d", {2}, tensor::normal(1)),
         e = params.add("e", {3}, tensor::normal(1), {1, 1, false});
  Small() { params.seal(); }
  void backward() const { torch::autograd::backward({(a * b.t() * 2).sum() + (c * c + c * e).sum()}, {}); }
};

}  // namespace

TEST_CASE("fresh gradients are the ones that a pass adds to zeros, in the flat buffer, and later passes add to them") {
  Small added, fresh;
  tensor::FreshGradients gradients(fresh.params);
  for (int update = 0; update < 2; ++update) {
    Tensor zeroed = added.params.grads();
    zeroed.zero_();
    gradients.begin();
    for (int pass = 0; pass < 2; ++pass) {
      added.backward();
      fresh.backward();
      if (pass == 0) gradients.end();
      CHECK(at::equal(fresh.params.grads(), zeroed));
    }
  }
  for (const auto& entry : fresh.params.entries()) {
    if (!entry.treatment.trained) continue;
    CHECK(entry.value.grad().const_data_ptr() == fresh.params.view(fresh.params.grads(), entry).const_data_ptr());
  }
}
