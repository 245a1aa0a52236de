#include <ATen/ops/arange.h>
#include <ATen/ops/zeros.h>
#include <doctest/doctest.h>

#include <array>

#include "assay/core/random.h"
#include "assay/layers/causal_conv.h"
#include "ops/op_case.h"

using namespace assay;
using testing::OpCase;
using testing::Tensors;

namespace {

OpCase conv_case(int64_t B, int64_t T, int64_t V, int64_t kernel) {
  OpCase c;
  c.name = "causal_conv T=" + std::to_string(T) + " V=" + std::to_string(V) + " kernel=" + std::to_string(kernel);
  c.inputs = [=](uint64_t seed) {
    Tensors all;
    for (const std::vector<int64_t>& shape : {std::vector<int64_t>{B, T, V}, {V, 1, kernel}, {V}}) {
      Tensor t = at::empty(shape, at::TensorOptions().dtype(at::kDouble));
      const core::Stream stream(seed, "conv", all.size());
      for (int64_t i = 0; i < t.numel(); ++i) t.data_ptr<double>()[i] = stream.normal(static_cast<uint64_t>(i));
      all.push_back(t);
    }
    return all;
  };
  c.op = [](const Tensors& x) { return layers::causal_conv(x[0], x[1], x[2]); };
  c.reference = [](const Tensors& x) { return layers::causal_conv_reference(x[0], x[1], x[2]); };
  return c;
}

}  // namespace

TEST_CASE(
    "the causal convolution agrees with the sum over its taps, values and gradients, also where the kernel is longer than the sequence") {
  for (const auto& [T, V, kernel] : {std::array<int64_t, 3>{1, 3, 4}, {5, 2, 1}, {7, 67, 16}, {33, 130, 4}})
    testing::check_op(conv_case(2, T, V, kernel), at::Device(at::kCPU));
}

TEST_CASE("the last tap is the present position") {
  const Tensor z = at::arange(1, 5, at::TensorOptions().dtype(at::kFloat)).view({1, 4, 1});
  const Tensor w = at::zeros({1, 1, 3});
  w[0][0][0].fill_(1);
  const Tensor y = layers::causal_conv(z, w, at::zeros({1})).view({-1});
  for (int64_t t = 0; t < 4; ++t) CHECK(y[t].item().toDouble() == (t < 2 ? 0 : t - 1));  // the first of three taps: two positions back
}
