#include <ATen/ops/rms_norm.h>
#include <doctest/doctest.h>

#include "assay/core/random.h"
#include "assay/layers/rms_norm.h"
#include "ops/op_case.h"

using namespace assay;
using testing::OpCase;
using testing::Tensors;

namespace {

OpCase norm_case(std::vector<int64_t> shape, double eps) {
  OpCase c;
  c.name = "rms_norm over " + std::to_string(shape.back()) + ", eps " + std::to_string(eps);
  c.inputs = [shape](uint64_t seed) {
    Tensor t = at::empty(shape, at::TensorOptions().dtype(at::kDouble));
    const core::Stream stream(seed, "z");
    for (int64_t i = 0; i < t.numel(); ++i) t.data_ptr<double>()[i] = stream.normal(static_cast<uint64_t>(i));
    return Tensors{t};
  };
  c.op = [eps](const Tensors& x) { return layers::rms_norm(x[0], eps); };
  c.reference = [eps](const Tensors& x) { return x[0] * (x[0].square().mean(-1, true) + eps).rsqrt(); };
  return c;
}

}  // namespace

TEST_CASE("the one-pass norm agrees with its equation, values and gradients, at awkward widths") {
  for (int64_t width : {2, 3, 8, 33, 260, 1024})
    for (double eps : {1.1920928955078125e-07, 0.0078125}) testing::check_op(norm_case({2, 5, width}, eps), at::Device(at::kCPU));
}

TEST_CASE("a row of zeros gives zeros, and its gradient is eps^(-1/2) times the upstream one") {
  Tensor z = at::zeros({2, 4}, at::TensorOptions().dtype(at::kDouble)).requires_grad_(true);
  const Tensor y = layers::rms_norm(z, 0.25);
  CHECK(y.abs().max().item().toDouble() == 0);
  y.sum().backward();
  CHECK(z.grad().min().item().toDouble() == doctest::Approx(2));
  CHECK(z.grad().max().item().toDouble() == doctest::Approx(2));
}
