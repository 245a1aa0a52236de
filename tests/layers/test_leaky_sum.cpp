#include <ATen/ops/sigmoid.h>
#include <doctest/doctest.h>

#include "assay/core/random.h"
#include "assay/layers/leaky_sum.h"
#include "ops/op_case.h"

using namespace assay;
using testing::OpCase;
using testing::Tensors;

TEST_CASE("the leaky sum agrees with its table of powers, values and gradients") {
  for (const int64_t T : {1, 2, 7, 40}) {
    OpCase c;
    c.name = "leaky_sum T=" + std::to_string(T);
    c.inputs = [T](uint64_t seed) {
      Tensor z = at::empty({2, T, 5}, at::TensorOptions().dtype(at::kDouble)), logit = at::empty({5}, z.options());
      const core::Stream stream(seed, "leaky sum");
      for (int64_t i = 0; i < z.numel(); ++i) z.data_ptr<double>()[i] = stream.normal(static_cast<uint64_t>(i));
      for (int64_t i = 0; i < 5; ++i) logit.data_ptr<double>()[i] = 2 * stream.normal(static_cast<uint64_t>(1000 + i)) + 1;
      return Tensors{z, logit};
    };
    c.registered = false;
    c.op = [](const Tensors& x) { return layers::leaky_sum(x[0], at::sigmoid(x[1])); };
    c.reference = [](const Tensors& x) { return layers::leaky_sum_reference(x[0], at::sigmoid(x[1])); };
    testing::check_op(c, at::Device(at::kCPU));
  }
}
