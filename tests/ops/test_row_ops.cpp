#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <doctest/doctest.h>
#include <torch/csrc/autograd/autograd.h>

#include "assay/ops/normalize/normalize.h"
#include "assay/ops/residual/residual.h"
#include "ops/op_case.h"
#include "ops/random_tensor.h"

using namespace assay;
using ops::Pointwise;
using testing::OpCase;
using testing::random_tensor;
using testing::Tensors;

namespace {

// All three results weigh in, so that each gradient path is used.
Tensor mixed(const ops::Normalized& n) {
  Tensor sum = n.z.to(n.through.scalar_type()) + 0.3 * n.through;
  return n.scaled.defined() ? sum + 0.7 * n.scaled.to(n.through.scalar_type()) : sum;
}

Tensor narrow(const Tensor& t) { return t.to(at::kBFloat16); }

OpCase normalize_case(std::vector<int64_t> shape, bool scale) {
  OpCase o;
  const int64_t n = shape.back();
  o.name = "normalize n=" + std::to_string(n) + (scale ? " scaled" : "");
  o.inputs = [=](uint64_t seed) {
    Tensors x{random_tensor(shape, seed, "x") * 2};
    if (scale) x.push_back(random_tensor({n}, seed, "scale"));
    return x;
  };
  o.op = [=](const Tensors& x) { return mixed(ops::normalize(x[0], scale ? x[1] : Tensor(), 1e-6, false)); };
  o.reference = [=](const Tensors& x) { return mixed(ops::normalize_reference(x[0], scale ? x[1] : Tensor(), 1e-6)); };
  o.op_bf16 = [=](const Tensors& x) { return mixed(ops::normalize(x[0], scale ? x[1] : Tensor(), 1e-6, true)); };
  o.composite_bf16 = [=](const Tensors& x) {
    ops::Normalized y = ops::normalize_reference(x[0], scale ? x[1] : Tensor(), 1e-6);
    y.z = narrow(y.z);
    if (scale) y.scaled = narrow(y.scaled);
    return mixed(y);
  };
  return o;
}

// `joined`: of the sum with a branch.
OpCase affine_norm_case(std::vector<int64_t> shape, bool bias, bool centered, bool joined = false) {
  OpCase o;
  const int64_t n = shape.back();
  o.name = std::string(centered ? "layer" : "rms") + " norm n=" + std::to_string(n) + (bias ? " bias" : "") + (joined ? " of a sum" : "");
  o.inputs = [=](uint64_t seed) {
    Tensors x{random_tensor(shape, seed, "x") * 2 + 0.5, random_tensor({n}, seed, "gain")};
    if (bias) x.push_back(random_tensor({n}, seed, "bias"));
    if (joined) x.push_back(random_tensor(shape, seed, "branch"));
    return x;
  };
  const ops::AffineNorm norm{.eps = 1e-5, .centered = centered}, norm_bf16{.eps = 1e-5, .centered = centered, .bf16 = true};
  const auto both = [](const ops::Normalized& y) { return y.scaled + 0.3 * y.through; };
  const auto fused = [=](const Tensors& x, const ops::AffineNorm& how) {
    const Tensor shift = bias ? x[2] : Tensor();
    return joined ? ops::affine_norm_of_sum(x[0], how.bf16 ? narrow(x.back()) : x.back(), x[1], shift, how)
                  : ops::affine_norm(x[0], x[1], shift, how);
  };
  o.op = [=](const Tensors& x) { return both(fused(x, norm)); };
  o.op_bf16 = [=](const Tensors& x) { return both(fused(x, norm_bf16)); };
  o.reference = [=](const Tensors& x) {
    return both(ops::affine_norm_reference(joined ? x[0] + x.back() : x[0], x[1], bias ? x[2] : Tensor(), norm));
  };
  o.composite_bf16 = [=](const Tensors& x) {
    ops::Normalized y = ops::affine_norm_reference(joined ? x[0] + narrow(x.back()) : x[0], x[1], bias ? x[2] : Tensor(), norm);
    y.scaled = narrow(y.scaled);
    return both(y);
  };
  return o;
}

// `each`: a factor for each entry of a row.
OpCase residual_case(std::vector<int64_t> shape, Pointwise activation, bool bias, bool diag, bool each = false) {
  OpCase o;
  const int64_t n = shape.back();
  o.name = "residual n=" + std::to_string(n) + " activation " + std::to_string(static_cast<int>(activation)) + (bias ? " bias" : "") +
           (diag ? " diag" : "") + (each ? " factors" : "");
  o.inputs = [=](uint64_t seed) {
    Tensors x{random_tensor(shape, seed, "x"), random_tensor(shape, seed, "m") * 1.5, random_tensor({each ? n : 1}, seed, "c")};
    if (bias) x.push_back(random_tensor({n}, seed, "bias"));
    if (diag) {
      x.push_back(random_tensor(shape, seed, "z"));
      x.push_back(random_tensor({n}, seed, "diag"));
    }
    return x;
  };
  const auto branch = [=](const Tensors& x) {
    ops::Branch b{.m = x[1], .activation = activation};
    if (bias) b.bias = x[3];
    if (diag) {
      b.z = x[bias ? 4 : 3];
      b.diag = x[bias ? 5 : 4];
    }
    return b;
  };
  o.op = [=](const Tensors& x) { return ops::residual(x[0], branch(x), x[2]); };
  o.reference = [=](const Tensors& x) { return ops::residual_reference(x[0], branch(x), x[2]); };
  const auto branch_bf16 = [=](const Tensors& x) {
    ops::Branch b = branch(x);
    b.m = narrow(b.m);
    if (diag) b.z = narrow(b.z);
    return b;
  };
  o.op_bf16 = [=](const Tensors& x) { return ops::residual(x[0], branch_bf16(x), x[2]); };
  o.composite_bf16 = [=](const Tensors& x) { return ops::residual_reference(x[0], branch_bf16(x), x[2]); };
  return o;
}

// Widths around a pack, a warp, several warps and beyond; more rows than a block holds.
std::vector<OpCase> cases() {
  std::vector<OpCase> all{normalize_case({1, 1}, false),   normalize_case({3, 7}, true),    normalize_case({2, 5, 48}, true),
                          normalize_case({2, 256}, false), normalize_case({70, 33}, true),  normalize_case({3, 1000}, true),
                          normalize_case({3, 1024}, true), normalize_case({2, 2047}, true), normalize_case({2, 2052}, true)};
  for (Pointwise p : {Pointwise::none, Pointwise::gelu, Pointwise::relu, Pointwise::relu2, Pointwise::swish}) {
    all.push_back(residual_case({3, 5}, p, true, true));
    all.push_back(residual_case({2, 3, 64}, p, p == Pointwise::gelu, p == Pointwise::swish));
  }
  for (int64_t n :
       {int64_t{7}, int64_t{132}, int64_t{256}, int64_t{260}, int64_t{600}, int64_t{768}, int64_t{1025}, int64_t{2048}, int64_t{2052}})
    all.push_back(affine_norm_case({3, n}, n % 2 == 0, n != 600));
  all.push_back(affine_norm_case({2, 150, 40}, true, true));
  for (int64_t n : {int64_t{1}, int64_t{7}, int64_t{132}, int64_t{260}, int64_t{768}, int64_t{1025}, int64_t{2048}, int64_t{2052}})
    all.push_back(affine_norm_case({5, n}, n % 2 == 0, n != 260, true));
  for (int64_t n : {int64_t{1}, int64_t{255}, int64_t{1024}, int64_t{2048}, int64_t{2500}})
    all.push_back(residual_case({2, n}, Pointwise::gelu, true, true));
  all.push_back(residual_case({300, 40}, Pointwise::swish, true, true));
  for (int64_t n : {int64_t{1}, int64_t{7}, int64_t{260}, int64_t{1024}, int64_t{2500}})
    all.push_back(residual_case({3, n}, n == 7 ? Pointwise::swish : Pointwise::none, n == 260, n == 7, true));
  return all;
}

// More rows than all blocks of a launch hold, so that each walks several.
std::vector<OpCase> long_cases() {
  return {affine_norm_case({4300, 12}, true, true),
          affine_norm_case({1100, 516}, true, true),
          affine_norm_case({1101, 512}, true, true, true),
          normalize_case({1100, 516}, true),
          normalize_case({300, 1028}, true),
          residual_case({4300, 9}, Pointwise::gelu, true, true),
          residual_case({1100, 516}, Pointwise::gelu, true, true),
          residual_case({4300, 12}, Pointwise::none, false, false, true),
          residual_case({1100, 1028}, Pointwise::none, true, false, true)};
}

// The same numbers, contiguous, one element behind the beginning of their memory.
Tensor moved(const Tensor& t) {
  const Tensor flat = at::full({t.numel() + 1}, 0.0, t.options());
  flat.narrow(0, 1, t.numel()).copy_(t.reshape({-1}));
  return flat.narrow(0, 1, t.numel()).view(t.sizes());
}

void check_odd_addresses(const at::Device& device) {
  const auto on_device = [&](std::vector<int64_t> shape, const char* name) { return random_tensor(shape, 1, name).to(device, at::kFloat); };
  const Tensor x = on_device({5, 256}, "x"), m = on_device({5, 256}, "m"), gain = on_device({256}, "gain"), c = on_device({1}, "c");
  const auto run = [&](const auto& place) {
    Tensors in;
    for (const Tensor& t : {x, m, gain, c}) in.push_back(place(t).requires_grad_(true));
    const ops::Normalized n = ops::normalize(in[0], in[2], 1e-6, false);
    const Tensor out =
        ops::residual(n.through, {.m = in[1], .bias = in[2], .diag = in[2], .z = n.scaled, .activation = Pointwise::swish}, in[3]);
    torch::autograd::backward({(out * out).sum()}, {});
    Tensors result{out.detach()};
    for (const Tensor& t : in) result.push_back(t.grad());
    return result;
  };
  const auto copied = [](const Tensor& t) { return t.clone(); };
  const Tensors want = run(copied), got = run(moved);
  for (size_t i = 0; i < want.size(); ++i) CHECK(at::allclose(got[i], want[i], 1e-5, 1e-6));
}

void check_bf16_branches(const at::Device& device) {
  for (int64_t n : {int64_t{40}, int64_t{515}, int64_t{1024}, int64_t{2500}}) {
    INFO("n=" << n);
    const Tensor x = random_tensor({5, n}, 1, "x"), scale = random_tensor({n}, 1, "scale"), m = random_tensor({5, n}, 1, "m"),
                 c = random_tensor({1}, 1, "c");
    const auto leaf = [&](const Tensor& t, at::ScalarType dtype) { return t.to(device, dtype).requires_grad_(true); };
    const auto run = [&](bool narrow) {
      const at::ScalarType wide = narrow ? at::kFloat : at::kDouble;
      Tensors in{leaf(x, wide), leaf(scale, wide), leaf(m.to(at::kBFloat16), narrow ? at::kBFloat16 : at::kDouble), leaf(c, wide)};
      const ops::Normalized z = narrow ? ops::normalize(in[0], in[1], 1e-6, true) : ops::normalize_reference(in[0], in[1], 1e-6);
      const Tensor out = (narrow ? ops::residual : ops::residual_reference)(
          z.through, {.m = z.scaled + in[2], .diag = in[1], .z = z.z, .activation = Pointwise::gelu}, in[3]);
      torch::autograd::backward({(out * out).sum()}, {});
      Tensors result{out.detach()};
      for (const Tensor& t : in) result.push_back(t.grad());
      return result;
    };
    const Tensors got = run(true), want = run(false);
    for (size_t i = 0; i < got.size(); ++i) {
      INFO("result " << i);
      const Tensor off = (got[i].to(at::kDouble) - want[i]).square().sum().sqrt(), size = want[i].square().sum().sqrt();
      CHECK(off.item().toDouble() < 1e-2 * size.item().toDouble());
    }
  }
}

void check_bf16_layer_norm(const at::Device& device) {
  for (int64_t n : {int64_t{40}, int64_t{768}, int64_t{2500}}) {
    INFO("n=" << n);
    const Tensor x = random_tensor({70, n}, 1, "x"), gain = random_tensor({n}, 1, "gain"), bias = random_tensor({n}, 1, "bias");
    const auto run = [&](at::ScalarType dtype) {
      Tensors in;
      for (const Tensor& t : {x, gain, bias}) in.push_back(t.to(device, dtype).requires_grad_(true));
      const ops::AffineNorm norm{.bf16 = dtype == at::kFloat};
      const ops::Normalized y =
          norm.bf16 ? ops::affine_norm(in[0], in[1], in[2], norm) : ops::affine_norm_reference(in[0], in[1], in[2], norm);
      torch::autograd::backward({(y.scaled.to(dtype) * y.through).sum()}, {});
      return Tensors{y.scaled.detach(), in[0].grad(), in[1].grad(), in[2].grad()};
    };
    const Tensors got = run(at::kFloat), want = run(at::kDouble);
    CHECK((got[0].scalar_type() == at::kBFloat16));
    for (size_t i = 0; i < got.size(); ++i) {
      INFO("result " << i);
      const Tensor off = (got[i].to(at::kDouble) - want[i]).square().sum().sqrt(), size = want[i].square().sum().sqrt();
      CHECK(off.item().toDouble() < 5e-3 * size.item().toDouble());
    }
  }
}

}  // namespace

TEST_CASE("norm and residual sum agree with their references on the CPU, values and gradients") {
  for (const OpCase& c : cases()) testing::check_op(c, at::Device(at::kCPU));
}

TEST_CASE("norm and residual sum agree with their references on CUDA, values and gradients") {
  const at::Device* cuda = testing::cuda_or_skip();
  if (cuda == nullptr) return;
  for (const OpCase& c : cases()) testing::check_op(c, *cuda);
  for (const OpCase& c : long_cases()) testing::check_op(c, *cuda);
}

TEST_CASE("operands of the row ops may begin anywhere in their memory") { check_odd_addresses(at::Device(at::kCPU)); }

TEST_CASE("CUDA: operands of the row ops may begin anywhere in their memory") {
  const at::Device* cuda = testing::cuda_or_skip();
  if (cuda != nullptr) check_odd_addresses(*cuda);
}

TEST_CASE("bfloat16 branches of a float32 state, and its bfloat16 layer norm") {
  check_bf16_branches(at::Device(at::kCPU));
  check_bf16_layer_norm(at::Device(at::kCPU));
}

TEST_CASE("CUDA: bfloat16 branches of a float32 state") {
  const at::Device* cuda = testing::cuda_or_skip();
  if (cuda != nullptr) check_bf16_branches(*cuda);
}

TEST_CASE("CUDA: a bfloat16 layer norm of a float32 state") {
  const at::Device* cuda = testing::cuda_or_skip();
  if (cuda != nullptr) check_bf16_layer_norm(*cuda);
}

TEST_CASE("a row of zeros is normalised to zeros, and its gradient is finite") {
  const Tensor x = at::full({2, 8}, 0.0, at::TensorOptions().dtype(at::kDouble)).requires_grad_(true);
  const ops::Normalized n = ops::normalize(x, {}, 1e-6, false);
  CHECK(n.z.abs().max().item().toDouble() == 0);
  torch::autograd::backward({n.z.sum()}, {});
  CHECK(at::allclose(x.grad(), at::full({2, 8}, 1e3, x.grad().options())));
}

TEST_CASE("only the results that are used pass a gradient") {
  const Tensor values = random_tensor({2, 6}, 1, "x"), scale_values = random_tensor({6}, 1, "scale");
  const auto gradient = [&](const std::function<Tensor(const ops::Normalized&)>& use) {
    Tensor x = values.clone().requires_grad_(true), scale = scale_values.clone().requires_grad_(true);
    torch::autograd::backward({use(ops::normalize(x, scale, 1e-6, false)).sum()}, {});
    return x.grad();
  };
  CHECK(at::equal(gradient([](const ops::Normalized& n) { return n.through * 2; }), at::full({2, 6}, 2.0, values.options())));
  const Tensor z = gradient([](const ops::Normalized& n) { return n.z.square() * 0.5; });
  const Tensor scaled = gradient([](const ops::Normalized& n) { return n.scaled; });
  const Tensor both = gradient([](const ops::Normalized& n) { return n.scaled + n.z.square() * 0.5; });
  CHECK(at::allclose(z + scaled, both, 1e-12, 1e-12));
}

TEST_CASE("wrong arguments are refused by name") {
  const Tensor x = random_tensor({2, 4}, 1, "x"), c = at::full({1}, 1.0, x.options());
  CHECK_THROWS_WITH_AS(ops::normalize(x, random_tensor({3}, 1, "s"), 1e-6, false), doctest::Contains("[normalize] scale must be"),
                       c10::Error);
  CHECK_THROWS_WITH_AS(ops::normalize(x, {}, 1e-6, true), doctest::Contains("bfloat16 results come from"), c10::Error);
  const ops::AffineNorm norm;
  const Tensor gain = x.select(0, 0);
  CHECK_THROWS_WITH_AS(ops::affine_norm(x, Tensor(), Tensor(), norm), doctest::Contains("an affine norm has a gain"), c10::Error);
  CHECK_THROWS_WITH_AS(ops::affine_norm(x, gain, c, norm), doctest::Contains("[normalize] bias must be"), c10::Error);
  CHECK_THROWS_WITH_AS(ops::affine_norm_of_sum(x, x.narrow(0, 0, 1), gain, Tensor(), norm), doctest::Contains("[normalize] branch must be"),
                       c10::Error);
  CHECK_THROWS_WITH_AS(ops::residual(x, {.m = x.narrow(0, 0, 1)}, c), doctest::Contains("[residual] m must be"), c10::Error);
  CHECK_THROWS_WITH_AS(ops::residual(x, {.m = x, .z = x}, c), doctest::Contains("z and diag come together"), c10::Error);
  CHECK_THROWS_WITH_AS(ops::residual(x, {.m = x}, x.narrow(1, 0, 3)[0]), doctest::Contains("c must be one"), c10::Error);
}

TEST_CASE("errors of the norms and the residual sum are those of the composite at most") {
  const std::vector<int64_t> shape{96, 1024};
  for (const at::Device* device : testing::devices())
    for (const OpCase& c : {normalize_case(shape, true), affine_norm_case(shape, true, true), affine_norm_case({96, 768}, true, true),
                            affine_norm_case({96, 768}, true, true, true), affine_norm_case(shape, true, false),
                            residual_case(shape, Pointwise::gelu, true, true), residual_case(shape, Pointwise::swish, true, true),
                            residual_case(shape, Pointwise::none, false, false, true)})
      testing::check_accuracy(c, *device);
}
