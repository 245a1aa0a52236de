#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/softmax.h>
#include <doctest/doctest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "assay/layers/attention.h"
#include "ops/op_case.h"
#include "ops/random_tensor.h"

using namespace assay;
using testing::OpCase;
using testing::random_tensor;
using testing::Tensors;

namespace {

Tensor reference(const Tensor& q, const Tensor& k, const Tensor& v, double scale) {
  const int64_t T = q.size(2);
  const Tensor future = at::full({T, T}, -INFINITY, q.options()).triu(1);
  return at::matmul(at::softmax(at::matmul(q, k.transpose(-1, -2)) * scale + future, -1), v);
}

// Products of bfloat16 tensors, softmax in float32: as under autocast.
Tensor composite_bf16(const Tensor& q, const Tensor& k, const Tensor& v, double scale) {
  const Tensor a = q.to(at::kBFloat16), b = k.to(at::kBFloat16), scores = at::matmul(a, b.transpose(-1, -2)).to(at::kFloat) * scale;
  const Tensor future = at::full({q.size(2), q.size(2)}, -INFINITY, scores.options()).triu(1);
  return at::matmul(at::softmax(scores + future, -1).to(at::kBFloat16), v.to(at::kBFloat16)).to(at::kFloat);
}

OpCase separate_case(int64_t B, int64_t H, int64_t T, int64_t d, double scale) {
  OpCase o;
  o.registered = false;
  o.name = "causal attention T=" + std::to_string(T) + " d=" + std::to_string(d);
  o.inputs = [=](uint64_t seed) {
    return Tensors{random_tensor({B, H, T, d}, seed, "q"), random_tensor({B, H, T, d}, seed, "k"), random_tensor({B, H, T, d}, seed, "v")};
  };
  o.op = [=](const Tensors& x) { return layers::causal_attention(x[0], x[1], x[2], scale, tensor::Precision::fp32).contiguous(); };
  o.op_bf16 = [=](const Tensors& x) { return layers::causal_attention(x[0], x[1], x[2], scale, tensor::Precision::bf16).contiguous(); };
  o.meta = false;
  o.reference = [=](const Tensors& x) { return reference(x[0], x[1], x[2], scale); };
  o.composite_bf16 = [=](const Tensors& x) { return composite_bf16(x[0], x[1], x[2], scale); };
  return o;
}

OpCase packed_case(int64_t B, int64_t H, int64_t T, int64_t d) {
  OpCase o;
  o.registered = false;
  o.name = "packed causal attention H=" + std::to_string(H) + " T=" + std::to_string(T) + " d=" + std::to_string(d);
  o.inputs = [=](uint64_t seed) { return Tensors{random_tensor({B, T, 3 * H * d}, seed, "qkv")}; };
  o.op = [=](const Tensors& x) { return layers::packed_causal_attention(x[0], H, tensor::Precision::fp32); };
  o.op_bf16 = [=](const Tensors& x) {
    const Tensor qkv = x[0].is_cuda() ? x[0].to(at::kBFloat16) : x[0];
    return layers::packed_causal_attention(qkv, H, tensor::Precision::bf16);
  };
  o.meta = false;
  const auto by = [=](const Tensors& x, const auto& attention) {
    const auto part = [&](int64_t i) { return x[0].narrow(-1, i * H * d, H * d).reshape({B, T, H, d}).transpose(1, 2); };
    return layers::joined_heads(attention(part(0), part(1), part(2), 1 / std::sqrt(static_cast<double>(d))));
  };
  o.reference = [=](const Tensors& x) { return by(x, reference); };
  o.composite_bf16 = [=](const Tensors& x) { return by(x, composite_bf16); };
  return o;
}

// One position, lengths around the blocks of the kernels, heads that no GPU kernel takes as they are.
std::vector<OpCase> cases() {
  return {separate_case(1, 1, 1, 8, 1),  separate_case(2, 3, 33, 16, 0.5), separate_case(1, 2, 130, 64, 0.125),
          separate_case(2, 1, 65, 5, 1), packed_case(2, 3, 7, 8),          packed_case(1, 2, 129, 32),
          packed_case(2, 1, 64, 64),     packed_case(1, 2, 20, 6),         packed_case(1, 1, 1, 3)};
}

}  // namespace

TEST_CASE("causal attention agrees with softmax written out on the CPU, values and gradients") {
  for (const OpCase& c : cases()) testing::check_op(c, at::Device(at::kCPU));
}

TEST_CASE("causal attention agrees with softmax written out on CUDA, values and gradients") {
  const at::Device* cuda = testing::cuda_or_skip();
  if (cuda == nullptr) return;
  for (const OpCase& c : cases()) testing::check_op(c, *cuda);
}

TEST_CASE("errors of causal attention are those of softmax written out at most") {
  for (const at::Device* device : testing::devices())
    for (OpCase c : {separate_case(1, 2, 200, 64, 0.125), separate_case(1, 2, 130, 64, 1), packed_case(1, 2, 256, 64)}) {
      if (device->is_cpu()) c.composite_bf16 = {};  // there products are float32 whatever is asked
      testing::check_accuracy(c, *device);
    }
}

TEST_CASE("scores that differ by hundreds give neither overflow nor NaN") {
  const Tensor q = random_tensor({1, 1, 70, 4}, 1, "q").to(at::kFloat) * 15, k = random_tensor({1, 1, 70, 4}, 1, "k").to(at::kFloat) * 15,
               v = random_tensor({1, 1, 70, 4}, 1, "v").to(at::kFloat);
  const Tensor q_leaf = q.clone().requires_grad_(true);
  const Tensor y = layers::causal_attention(q_leaf, k, v, 1.0, tensor::Precision::fp32);
  const Tensor want = reference(q.to(at::kDouble), k.to(at::kDouble), v.to(at::kDouble), 1.0);
  CHECK((y.detach().to(at::kDouble) - want).abs().max().item().toDouble() < 1e-3);
  torch::autograd::backward({y.sum()}, {});
  CHECK(at::isfinite(q_leaf.grad()).all().item().toBool());
}

TEST_CASE("CUDA: bfloat16 gradients of attention repeat bit for bit") {
  const at::Device* cuda = testing::cuda_or_skip();
  if (cuda == nullptr) return;
  const Tensor qkv = random_tensor({4, 512, 3 * 2 * 64}, 1, "qkv").to(*cuda, at::kBFloat16),
               up = random_tensor({4, 512, 128}, 1, "g").to(*cuda, at::kBFloat16);
  const auto gradient = [&] {
    Tensor leaf = qkv.clone().requires_grad_(true);
    torch::autograd::backward({layers::packed_causal_attention(leaf, 2, tensor::Precision::bf16)}, {up});
    return leaf.grad();
  };
  const Tensor first = gradient();
  for (int i = 0; i < 4; ++i) CHECK(at::equal(first, gradient()));
}
