#include "assay/bench/ops.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "assay/bench/time_calls.h"
#include "assay/core/error.h"
#include "assay/ops/adam/adam.h"
#include "assay/ops/column_sums/column_sums.h"
#include "assay/ops/loss_head/loss_head.h"
#include "assay/ops/normalize/normalize.h"
#include "assay/ops/normalize/normalize_op.h"
#include "assay/ops/residual/residual.h"
#include "assay/ops/residual/residual_op.h"
#include "assay/ops/shift_max/shift_max.h"
#include "assay/optim/conditioning.h"
#include "assay/optim/orthogonal.h"
#include "assay/optim/rules.h"

namespace assay::bench {
namespace {

using core::Value;

constexpr int kOrthogonalisations = 5;  // as published

Value row(const std::string& name, const std::string& shape, const Timing& t, double bytes, double copy_rate, double composite_ms) {
  Value v = Value::object();
  v["name"] = name;
  v["shape"] = shape;
  v["ms"] = t.median_ms;
  v["spread_ms"] = t.spread();
  v["bytes"] = bytes;
  v["gb_per_s"] = bytes / t.median_ms / 1e6;
  v["floor_fraction"] = bytes / t.median_ms / 1e6 / copy_rate;
  v["composite_ms"] = composite_ms;
  return v;
}

// ||got - want|| <= tolerance ||want||, by pieces: in float64 some of these would fill a GPU.
void require_near(const std::string& what, const Tensor& got, const Tensor& want, double tolerance) {
  constexpr int64_t piece = 1 << 26;
  double off = 0, size = 0;
  const Tensor g = got.reshape({-1}), w = want.reshape({-1});
  TORCH_INTERNAL_ASSERT(g.numel() == w.numel());
  for (int64_t begin = 0; begin < w.numel(); begin += piece) {
    const int64_t n = std::min(piece, w.numel() - begin);
    const Tensor right = w.narrow(0, begin, n).to(at::kDouble);
    off += (g.narrow(0, begin, n).to(at::kDouble) - right).square().sum().item().toDouble();
    size += right.square().sum().item().toDouble();
  }
  if (!(std::sqrt(off) <= tolerance * std::sqrt(size)))
    throw core::NumericsError("bench", what + " is not what the composite gives; a wrong result has no speed");
}

// Of two in float32, each within 1e-5 of the exact values; bfloat16 has 8 bits. One number that sums all entries may nearly cancel.
double tolerance_of(const Tensor& result) { return result.scalar_type() == at::kBFloat16 ? 1e-2 : result.numel() == 1 ? 1e-3 : 2e-5; }

// The loss and its gradient.
std::pair<Tensor, Tensor> with_gradient(const Tensor& x, const std::function<Tensor(const Tensor&)>& f) {
  const at::AutoGradMode grad(true);
  Tensor leaf = x.detach().requires_grad_(true);
  const Tensor loss = f(leaf);
  torch::autograd::backward({loss}, {});
  return {loss.detach(), leaf.grad()};
}

Value loss_head_row(const at::Device& device, int64_t rows, int64_t vocab, at::ScalarType dtype, const ops::LossHead& head,
                    double copy_rate) {
  const Tensor x = at::randn({1, rows, vocab}, at::TensorOptions().device(device)).to(dtype);
  const Tensor targets = at::randint(vocab, {1, rows}, at::TensorOptions().device(device).dtype(at::kLong));
  const auto fused = [&](const Tensor& leaf) { return ops::loss_head(leaf, {}, targets, head); };
  const auto composite = [&](const Tensor& leaf) { return ops::loss_head_reference(leaf.to(at::kFloat), {}, targets, head); };
  {
    const auto [want_loss, want] = with_gradient(x, composite);  // first: x's memory may receive the gradient
    const auto [loss, got] = with_gradient(x, fused);
    require_near("loss_head", loss, want_loss, 1e-5);
    require_near("loss_head's gradient", got, want, tolerance_of(got));
  }
  const Timing t = time_calls(device, true, [&] {
    const at::AutoGradMode grad(true);
    fused(x.detach().requires_grad_(true));  // loss and gradient; scaling by the upstream gradient is not part of it
  });
  const Timing c = time_calls(device, false, [&] {
    const at::AutoGradMode grad(true);
    torch::autograd::backward({composite(x.detach().requires_grad_(true))}, {});
  });
  const double bytes = 2 * static_cast<double>(x.numel()) * static_cast<double>(x.element_size());
  return row("loss_head", std::to_string(rows) + " x " + std::to_string(vocab) + " " + c10::toString(dtype), t, bytes, copy_rate,
             c.median_ms);
}

template <class Schema>
auto op(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Schema>();
}

using Tensors = std::vector<Tensor>;

// One direction of a row op alone. `bytes`: what it reads and writes once, an element. Both give all results, in one order.
Value direction_row(const at::Device& device, const std::string& name, int64_t rows, int64_t n, bool narrow, double bytes, double copy_rate,
                    const std::function<Tensors()>& fused, const std::function<Tensors()>& composite) {
  const Tensors got = fused(), want = composite();
  TORCH_INTERNAL_ASSERT(got.size() == want.size());
  for (size_t i = 0; i < got.size(); ++i) require_near(name + ", result " + std::to_string(i + 1), got[i], want[i], tolerance_of(got[i]));
  const Timing t = time_calls(device, true, fused), c = time_calls(device, false, composite);
  return row(name, std::to_string(rows) + " x " + std::to_string(n) + (narrow ? " BFloat16" : " Float"), t,
             bytes * static_cast<double>(rows * n), copy_rate, c.median_ms);
}

// The two halves of a sublayer, each way, as v8 (scale and z, diag and z) and gpt2 (layer norm) use them; branches in bfloat16 on a GPU.
void append_row_ops(Value& to, const at::Device& device, int64_t rows, int64_t n, double copy_rate) {
  const bool narrow = device.is_cuda();
  const auto options = at::TensorOptions().device(device);
  const auto branch = narrow ? at::kBFloat16 : at::kFloat;
  const double wide = 4, half = narrow ? 2 : 4;  // bytes
  const Tensor x = at::randn({rows, n}, options), t = at::randn({rows, n}, options), s = at::randn({n}, options),
               b = at::randn({n}, options), c = at::randn({1}, options), m = at::randn({rows, n}, options).to(branch),
               z = at::randn({rows, n}, options).to(branch);
  const auto forward = op<ops::NormalizeForward>("assay::normalize");
  const auto backward = op<ops::NormalizeBackward>("assay::normalize_backward");
  const auto add = [&](const char* name, double bytes, const std::function<Tensors()>& fused, const std::function<Tensors()>& composite) {
    to.push_back(direction_row(device, name, rows, n, narrow, bytes, copy_rate, fused, composite));
  };
  // Gradients of a composite by autograd, with respect to all of its inputs.
  const auto gradients = [](const Tensors& values, const std::function<Tensor(const Tensors&)>& f) {
    const at::AutoGradMode grad(true);
    Tensors leaves, grads;
    for (const Tensor& v : values) leaves.push_back(v.detach().requires_grad_(true));
    torch::autograd::backward({f(leaves)}, {});
    for (const Tensor& leaf : leaves) grads.push_back(leaf.grad());
    return grads;
  };
  add(
      "normalize", wide + 2 * half,
      [&]() -> Tensors {
        const auto [y_z, y_scaled, sum] = forward.call(x, {}, s, {}, 1e-6, false, narrow, true);
        return {y_z, y_scaled};
      },
      [&]() -> Tensors {
        const ops::Normalized y = ops::normalize_reference(x, s, 1e-6);
        return {y.z.to(branch), y.scaled.to(branch)};
      });
  add(
      "normalize backward", 3 * wide + 2 * half,
      [&]() -> Tensors {
        const auto [dx, dbranch, dscale, dbias] = backward.call(z, m, t, x, s, false, 1e-6, false, false);
        return {dx, dscale};
      },
      [&] {
        return gradients({x, s}, [&](const Tensors& in) {
          const ops::Normalized y = ops::normalize_reference(in[0], in[1], 1e-6);
          return (y.z * z + y.scaled * m + y.through * t).sum();
        });
      });
  add(
      "layer norm", wide + half, [&]() -> Tensors { return {std::get<1>(forward.call(x, {}, s, b, 1e-5, true, narrow, false))}; },
      [&]() -> Tensors { return {ops::affine_norm_reference(x, s, b, {}).scaled.to(branch)}; });
  const auto layer_norm_gradients = [&] {
    return gradients({x, s, b}, [&](const Tensors& in) {
      const ops::Normalized y = ops::affine_norm_reference(in[0], in[1], in[2], {});
      return (y.scaled * m + y.through * t).sum();
    });
  };
  add(
      "layer norm backward", 3 * wide + half,
      [&]() -> Tensors {
        const auto [dx, dbranch, dgain, dbias] = backward.call({}, m, t, x, s, true, 1e-5, true, false);
        return {dx, dgain, dbias};
      },
      layer_norm_gradients);
  add(
      "layer norm of x + m", 2 * wide + 2 * half,
      [&]() -> Tensors {
        const auto [y_z, y_scaled, sum] = forward.call(x, m, s, b, 1e-5, true, narrow, false);
        return {y_scaled, sum};
      },
      [&]() -> Tensors {
        const Tensor sum = x + m;
        return {ops::affine_norm_reference(sum, s, b, {}).scaled.to(branch), sum};
      });
  add(
      "its backward", 3 * wide + (narrow ? 2 : 1) * half,
      [&]() -> Tensors {
        const auto [dx, dbranch, dgain, dbias] = backward.call({}, m, t, x, s, true, 1e-5, true, narrow);
        if (narrow) return {dx, dgain, dbias, dbranch};
        return {dx, dgain, dbias};
      },
      [&] {
        Tensors grads = layer_norm_gradients();
        if (narrow) grads.push_back(grads[0].to(branch));
        return grads;
      });
  add(
      "column sums", half, [&]() -> Tensors { return {ops::column_sums(m)}; },
      [&]() -> Tensors { return {m.sum(at::IntArrayRef{0}, false, at::kFloat)}; });
  const auto gelu = static_cast<int64_t>(ops::Pointwise::gelu);
  const auto composite_residual = [&](const Tensors& in) {  // m, z, diag, bias, c
    return ops::residual_reference(x, {.m = in[0], .bias = in[3], .diag = in[2], .z = in[1], .activation = ops::Pointwise::gelu}, in[4]);
  };
  const auto operands = [&]() -> Tensors { return {m.to(at::kFloat), z.to(at::kFloat), s, b, c}; };
  add(
      "residual", 2 * wide + 2 * half,
      [&]() -> Tensors { return {op<ops::ResidualForward>("assay::residual").call(x, m, z, s, b, c, gelu)}; },
      [&]() -> Tensors { return {composite_residual(operands())}; });
  add(
      "residual backward", wide + 4 * half,
      [&]() -> Tensors {
        const auto [dm, dz, ddiag, dbias, dc] = op<ops::ResidualBackward>("assay::residual_backward").call(t, m, z, s, b, c, gelu);
        return {dm, dz, ddiag, dbias, dc};
      },
      [&] { return gradients(operands(), [&](const Tensors& in) { return (composite_residual(in) * t).sum(); }); });
}

Value adam_row(const at::Device& device, int64_t size, double copy_rate) {
  const auto options = at::TensorOptions().device(device);
  const Tensor p = at::randn({size}, options), g = at::randn({size}, options), m = at::zeros_like(p), v = at::zeros_like(p),
               shadow = at::empty_like(p, options.dtype(at::kBFloat16)),
               control = at::zeros({ops::Control::count}, options.dtype(at::kDouble)), log = at::zeros({8, 4}, options.dtype(at::kDouble)),
               loss = at::zeros({1}, options), chunks = ops::adam_chunks({{0, size, 1, 0}}, device);
  control[ops::Control::rate] = 1e-4;
  ops::decide_update_(g, loss, control, log, 0.9, 0.999);
  const Tensor p2 = p.clone(), m2 = m.clone(), v2 = v.clone();
  const auto fused = [&] { ops::adam_(p, g, m, v, shadow, control, chunks, {}); };
  fused();
  ops::adam_reference_(p2, g, m2, v2, 1e-4, 0, 1, 1, {});
  for (const auto& [name, got, want] : {std::tuple{"adam", p, p2}, {"adam's first moment", m, m2}, {"adam's second moment", v, v2}})
    require_near(name, got, want, 1e-6);
  if (!at::equal(shadow, p.to(at::kBFloat16)))
    throw core::NumericsError("bench", "adam's rounded weights are not its weights rounded; a wrong result has no speed");
  const Timing t = time_calls(device, true, fused);
  const Timing c = time_calls(device, false, [&] { ops::adam_reference_(p2, g, m2, v2, 1e-4, 0, 1, 1, {}); });
  return row("adam", std::to_string(size) + " parameters", t, 30.0 * static_cast<double>(size), copy_rate, c.median_ms);
}

// Forward and backward. `softmax`: torch's own, which has the same operands, so that the two can be compared.
Value shift_max_row(const at::Device& device, int64_t rows, int64_t n, bool softmax, double copy_rate) {
  const Tensor z = at::randn({rows, n}, at::TensorOptions().device(device)), g = at::randn({rows, n}, at::TensorOptions().device(device));
  const auto gradient = [&](const auto& f) {
    const at::AutoGradMode grad(true);
    Tensor leaf = z.detach().requires_grad_(true);
    torch::autograd::backward({f(leaf)}, {g});
    return leaf.grad();
  };
  const auto fused = [&](const Tensor& x) { return softmax ? at::softmax(x, -1) : ops::shift_max(x, 1, 1); };
  const auto composite = [&](const Tensor& x) {
    if (!softmax) return ops::shift_max_reference(x, 1, 1);
    const Tensor w = (x - x.amax({-1}, true)).exp();
    return w / w.sum(-1, true);
  };
  const std::string name = softmax ? "softmax" : "shift_max";
  require_near(name, fused(z), composite(z), 2e-5);
  require_near(name + "'s gradient", gradient(fused), gradient(composite), 1e-4);  // a difference of sums of up to n entries
  const Timing t = time_calls(device, true, [&] { gradient(fused); }), c = time_calls(device, [&] { gradient(composite); });
  const double bytes = 5.0 * static_cast<double>(z.numel()) * 4;  // z, p; g, z (softmax: p), dz
  return row(name, std::to_string(rows) + " x " + std::to_string(n) + " float", t, bytes, copy_rate, c.median_ms);
}

// The iteration of optim/orthogonal.h as it is written there, in float64.
Tensor newton_schulz_reference(const Tensor& G_nRC, int iterations) {
  const Tensor G = G_nRC.to(at::kDouble);
  Tensor X = G / (1.1 * G.square().sum({1, 2}, true).sqrt() + 1e-7);
  const bool wide = G.size(1) < G.size(2);
  for (int i = 0; i < iterations; ++i) {
    const Tensor gram = wide ? at::bmm(X, X.transpose(1, 2)) : at::bmm(X.transpose(1, 2), X);
    X = 1.5 * X - 0.5 * (wide ? at::bmm(gram, X) : at::bmm(X, gram));
  }
  return X;
}

// Muon's orthogonalisation beside the products that it cannot avoid (`composite`: those alone, of the same operands): five times X^T X and X times
// that. `bytes`: the operands of these products, once each.
Value orthogonal_row(const at::Device& device, int64_t n, int64_t R, int64_t C, tensor::Precision precision, double copy_rate) {
  const Tensor G = at::randn({n, R, C}, at::TensorOptions().device(device));
  const bool narrow = precision == tensor::Precision::bf16;
  const Tensor X = narrow ? G.to(at::kBFloat16) : G;
  Tensor gram, product;
  const auto products = [&] {
    for (int i = 0; i < kOrthogonalisations; ++i) {
      gram = R < C ? at::bmm(X, X.transpose(1, 2)) : at::bmm(X.transpose(1, 2), X);
      product = R < C ? at::bmm(gram, X) : at::bmm(X, gram);
    }
  };
  require_near(narrow ? "newton_schulz in bf16" : "newton_schulz", optim::newton_schulz(G, kOrthogonalisations, precision),
               newton_schulz_reference(G, kOrthogonalisations), narrow ? 3e-2 : 1e-4);
  const Timing t = time_calls(device, [&] { optim::newton_schulz(G, kOrthogonalisations, precision); }), c = time_calls(device, products);
  const double small = static_cast<double>(std::min(R, C)), large = static_cast<double>(n * R * C);
  const double bytes = kOrthogonalisations * (narrow ? 2 : 4) * (3 * large + 2 * static_cast<double>(n) * small * small);
  return row("orthogonal", std::to_string(n) + " x " + std::to_string(R) + " x " + std::to_string(C) + (narrow ? " bf16" : " float"), t,
             bytes, copy_rate, c.median_ms);
}

// An optimizer that changes nothing.
struct Idle final : optim::Optimizer {
  explicit Idle(tensor::Params& params) : Optimizer(params) {}
  std::vector<optim::NamedState> state() override { return {}; }
  void step(double) override {}
};

// Gradients `flat` as the rule of optim/conditioning.h leaves them, tensor by tensor in float64.
Tensor conditioned_reference(tensor::Params& params, const optim::OptimConfig& config, const Tensor& flat) {
  std::vector<std::vector<int64_t>> shapes;
  for (const auto& e : params.entries()) shapes.push_back(e.shape);
  const optim::Conditioning rule = optim::conditioning_rule(shapes, config);
  Tensor out = flat.to(at::kDouble);
  for (size_t k = 0; k < shapes.size(); ++k) {
    const auto& e = params.entries()[k];
    if (shapes[k].size() >= 2) out.narrow(0, e.offset, e.numel).mul_(rule.scale[k]).add_(rule.shift[k]);
  }
  return out;
}

// What gradient conditioning adds to an update: a pass over the gradients of a decoder of 124M parameters, 8 bytes each. `composite`: that pass as a
// product and a sum.
Value conditioning_row(const at::Device& device, int64_t layers, int64_t width, int64_t vocab, double copy_rate) {
  tensor::Params params(device, at::kFloat, 1);
  const auto add = [&](const std::string& name, std::vector<int64_t> shape) { params.add(name, std::move(shape), tensor::constant(0.5)); };
  add("token_embedding.weight", {vocab, width});
  for (int64_t l = 0; l < layers; ++l) {
    const std::string block = "blocks." + std::to_string(l) + ".";
    add(block + "attn.qkv.weight", {3 * width, width});
    add(block + "attn.out.weight", {width, width});
    add(block + "mlp.fc1.weight", {4 * width, width});
    add(block + "mlp.fc2.weight", {width, 4 * width});
    for (const char* vector : {"ln1.weight", "ln1.bias", "ln2.weight", "ln2.bias", "attn.out.bias", "mlp.fc2.bias"})
      add(block + vector, {width});
  }
  params.seal();
  optim::OptimConfig config;
  config.name = "sgd";
  config.conditioning = "rule";
  const auto conditioned = optim::make_conditioned(params, config, std::make_unique<Idle>(params));
  Tensor scratch = at::randn({params.grads().numel()}, params.grads().options());
  params.grads().copy_(scratch);
  conditioned->update(0);
  require_near("conditioning", params.grads(), conditioned_reference(params, config, scratch), 1e-6);
  const Timing t = time_calls(device, [&] { conditioned->update(0); });
  const Timing c = time_calls(device, [&] { scratch.mul_(0.999).add_(1e-6); });
  return row("conditioning", std::to_string(params.count()) + " parameters", t, 8.0 * static_cast<double>(params.count()), copy_rate,
             c.median_ms);
}

}  // namespace

Value bench_ops(const at::Device& device, bool quick) {
  const at::NoGradGuard no_grad;
  const bool gpu = device.is_cuda();
  const auto size = [&](int64_t on_gpu, int64_t on_cpu, int64_t small) { return quick ? small : gpu ? on_gpu : on_cpu; };
  const double rate = copy_rate(device);
  Value v = Value::object();
  v["device"] = device.str();
  v["copy_gb_per_s"] = rate;
  v["ops"] = Value::array();
  const ops::LossHead vocabulary{.norm_eps = 1e-7, .softcap = 30};
  v["ops"].push_back(loss_head_row(device, size(32768, 1024, 16), size(1024, 1024, 64), at::kFloat, vocabulary, rate));
  if (gpu && !quick) {
    v["ops"].push_back(loss_head_row(device, 32768, 1024, at::kBFloat16, {}, rate));
    v["ops"].push_back(loss_head_row(device, 32768, 50257, at::kBFloat16, {.overwrite = true}, rate));
    v["ops"].push_back(loss_head_row(device, 16384, 50257, at::kFloat, {.overwrite = true}, rate));
  }
  append_row_ops(v["ops"], device, size(16384, 1024, 16), size(1024, 1024, 64), rate);
  if (!quick) append_row_ops(v["ops"], device, size(16384, 1024, 16), 768, rate);
  const int64_t million = 1 << 20;
  v["ops"].push_back(adam_row(device, size(128 * million, 4 * million, 1024), rate));
  for (const bool softmax : {false, true}) {
    v["ops"].push_back(shift_max_row(device, size(65536, 4096, 16), 8, softmax, rate));
    v["ops"].push_back(shift_max_row(device, size(32768, 1024, 16), size(1024, 1024, 64), softmax, rate));
  }
  const auto bf16 = tensor::Precision::bf16, fp32 = tensor::Precision::fp32;
  if (quick) v["ops"].push_back(orthogonal_row(device, 2, 48, 32, bf16, rate));
  if (gpu && !quick) {  // the matrices of a block of 768, twelve layers of them
    v["ops"].push_back(orthogonal_row(device, 12, 768, 768, bf16, rate));
    v["ops"].push_back(orthogonal_row(device, 12, 2304, 768, bf16, rate));
    v["ops"].push_back(orthogonal_row(device, 12, 768, 3072, bf16, rate));
  }
  v["ops"].push_back(orthogonal_row(device, 2, size(768, 256, 32), size(768, 256, 48), fp32, rate));
  v["ops"].push_back(conditioning_row(device, size(12, 2, 1), size(768, 128, 16), size(50257, 512, 64), rate));
  return v;
}

}  // namespace assay::bench
