#include "assay/tensor/product.h"

#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <chrono>

#include "assay/core/error.h"
#include "assay/core/options.h"
#include "assay/tensor/first_order.h"
#include "assay/tensor/init.h"
#include "assay/tensor/product_cache.h"
#include "assay/tensor/tiles.h"

namespace assay::tensor {
namespace {

ProductChoice current;

using Pointwise = Tensor(const Tensor&, const Tensor&, const std::optional<Tensor>&, std::string_view, c10::List<std::optional<at::Scalar>>,
                         std::optional<std::string_view>);

// A part of a wider matrix (rows further apart than they are long) sends oneDNN to its reference code, hundreds of times slower than a copy.
Tensor dense(const Tensor& b) { return b.is_contiguous() || b.t().is_contiguous() ? b : b.contiguous(); }

// a b through oneDNN; its operator computes x w^T, so b goes in transposed (a view).
Tensor onednn_product(const Tensor& a, const Tensor& b, const std::optional<Tensor>& bias = std::nullopt) {
  static const auto op = c10::Dispatcher::singleton().findSchemaOrThrow("mkldnn::_linear_pointwise", "").typed<Pointwise>();
  return op.call(a, dense(b).t(), bias, "none", c10::List<std::optional<at::Scalar>>(), std::nullopt);
}

bool by_onednn(bool strided) { return current.fp32 == ProductBackend::onednn || (current.fp32 == ProductBackend::mixed && !strided); }

// Columns of a gradient of a narrow matrix. Libraries cut a product x^T g by its rows and find g's few columns too short: with 8, 16, 32, 64 of
// them beside 1024 rows of 1024 MKL takes 3.4, 1.0, 1.4, 2.0 ms on one core with AVX-512, and 0.3, 0.5, 0.9, 1.6 for g^T x (oneDNN 0.2, 0.4, 0.7, 1.4).
constexpr int64_t kNarrow = 64;

Tensor cpu_product(const Tensor& a, const Tensor& b) {
  const bool transposed = !a.is_contiguous() && a.t().is_contiguous();
  if (transposed && b.size(1) <= kNarrow && a.size(0) > b.size(1)) {
    const Tensor left = b.t(), right = a.t();
    return (by_onednn(false) ? onednn_product(left, right) : at::mm(left, right)).t().contiguous();
  }
  return by_onednn(!a.is_contiguous()) ? onednn_product(a, b) : at::mm(a, b);
}

// Whether bfloat16 operands are multiplied as they are.
bool native(const Tensor& a) { return a.is_cuda() || current.native_bf16; }

// a b of bfloat16 operands, in float32. On a CPU the library rounds its float32 sums to bfloat16 at the end, as under autocast.
Tensor wide_product(const Tensor& a16, const Tensor& b16) {
  if (a16.is_cuda()) return at::mm(a16, b16, at::kFloat);
  return native(a16) ? at::mm(a16, b16).to(at::kFloat) : cpu_product(a16.to(at::kFloat), b16.to(at::kFloat));
}

Tensor bf16_product(const Tensor& a, const Tensor& b) {
  const Tensor a16 = a.to(at::kBFloat16), b16 = b.to(at::kBFloat16);
  if (native(a)) return at::mm(a16, b16).to(a.scalar_type());
  return cpu_product(a16.to(at::kFloat), b16.to(at::kFloat)).to(a.scalar_type());
}

// x w^T + bias on the CPU: the bias joins while the library writes the product.
Tensor affine_on_cpu(const Tensor& x, const Tensor& w, const Tensor& bias, Precision p) {
  if (x.scalar_type() != at::kFloat || p == Precision::bf16) return raw_product(x, w.t(), p).add_(bias.to(x.scalar_type()));
  return by_onednn(!x.is_contiguous()) ? onednn_product(x, w.t(), bias) : at::addmm(bias, x, w.t());
}

// Whether `one` is faster than `other` by a tenth, and its time. They take turns, so that whatever else the machine does slows both, and the best of
// many turns counts.
struct Race {
  double seconds = 0, other = 0;
  bool won(double by = 0.9) const { return seconds < by * other; }
};
Race race(const std::function<Tensor()>& one, const std::function<Tensor()>& other, int turns = 9) {
  const auto seconds_of = [](const std::function<Tensor()>& f) {
    const auto start = std::chrono::steady_clock::now();
    f();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  Race best{1e9, 1e9};
  for (int i = 0; i < turns; ++i) {
    best.seconds = std::min(best.seconds, seconds_of(one));
    best.other = std::min(best.other, seconds_of(other));
  }
  return best;
}

bool runs(const std::function<Tensor()>& f) {
  try {
    f();
    return true;
  } catch (const std::exception&) {  // oneDNN refuses a dtype that the processor lacks with an exception of its own
    return false;
  }
}

// What a node keeps of its matrix for the gradient of the other operand: where that product rounds it to bfloat16 as well, the rounded one.
Tensor rounded(const Tensor& matrix, Precision p) {
  return p == Precision::bf16 && native(matrix) && matrix.scalar_type() == at::kFloat ? matrix.to(at::kBFloat16) : matrix;
}

// The gradient of a float32 matrix from bfloat16 activations: summed and kept in float32.
Tensor matrix_gradient(const Tensor& a, const Tensor& g, at::ScalarType matrix, Precision p) {
  if (a.scalar_type() == at::kBFloat16 && matrix == at::kFloat) return wide_product(a.t(), g.to(at::kBFloat16));
  return raw_product(a.t(), g, p);
}

Tensor rows_gradient(const Tensor& g, const Tensor& x, at::ScalarType matrix, Precision p) {
  if (x.scalar_type() == at::kBFloat16 && matrix == at::kFloat) return wide_product(g.to(at::kBFloat16).t(), x);
  return raw_product(g.t(), x, p);
}

Tensor bias_gradient(const Tensor& g, at::ScalarType type) {
  static const auto column_sums = c10::Dispatcher::singleton().findSchemaOrThrow("assay::column_sums", "").typed<Tensor(const Tensor&)>();
  return column_sums.call(g).to(type);
}

at::ScalarType saved_type(torch::autograd::AutogradContext* ctx) { return static_cast<at::ScalarType>(ctx->saved_data["matrix"].toInt()); }

struct Product : torch::autograd::Function<Product> {
  static Tensor forward(torch::autograd::AutogradContext* ctx, const Tensor& a, const Tensor& b, int64_t precision) {
    const auto p = static_cast<Precision>(precision);
    const Tensor matrix = rounded(b, p);
    ctx->save_for_backward({a, matrix});
    ctx->saved_data["precision"] = precision;
    ctx->saved_data["matrix"] = static_cast<int64_t>(b.scalar_type());
    return raw_product(a, matrix, p);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx, torch::autograd::variable_list g) {
    const auto saved = ctx->get_saved_variables();
    const auto p = static_cast<Precision>(ctx->saved_data["precision"].toInt());
    const FirstOrderOnly once("product", g, saved);
    return {ctx->needs_input_grad(0) ? raw_product(g[0], saved[1].t(), p) : Tensor(),
            ctx->needs_input_grad(1) ? matrix_gradient(saved[0], g[0], saved_type(ctx), p) : Tensor(), Tensor()};
  }
};

// y = x w^T + b for rows x [N, in], w [out, in], b [out] or none: one node, so that the bias joins its product and each gradient comes in its
// tensor's own layout, in which it can be handed over instead of being added element by element.
struct Affine : torch::autograd::Function<Affine> {
  static Tensor forward(torch::autograd::AutogradContext* ctx, const Tensor& x, const Tensor& w, const std::optional<Tensor>& bias,
                        int64_t precision) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto p = static_cast<Precision>(precision);
    const Tensor matrix = rounded(w, p);
    ctx->save_for_backward({x, matrix});
    ctx->saved_data["precision"] = precision;
    ctx->saved_data["matrix"] = static_cast<int64_t>(w.scalar_type());
    ctx->saved_data["bias"] = bias.has_value();
    if (!bias) return raw_product(x, matrix.t(), p);
    if (native(x) && x.scalar_type() == at::kBFloat16 && bias->scalar_type() == at::kFloat)
      return at::addmm(bias->to(at::kBFloat16), x, matrix.to(at::kBFloat16).t());
    if (x.is_cuda()) return raw_product(x, matrix.t(), p).add_(*bias);
    return affine_on_cpu(x, matrix, *bias, p);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx, torch::autograd::variable_list g) {
    const auto saved = ctx->get_saved_variables();
    const auto p = static_cast<Precision>(ctx->saved_data["precision"].toInt());
    const FirstOrderOnly once("product", g, saved);
    const Tensor &x = saved[0], &w = saved[1], &up = g[0];
    return {ctx->needs_input_grad(0) ? raw_product(up, w, p) : Tensor(),
            ctx->needs_input_grad(1) ? rows_gradient(up, x, saved_type(ctx), p) : Tensor(),
            ctx->saved_data["bias"].toBool() && ctx->needs_input_grad(2) ? bias_gradient(up, saved_type(ctx)) : Tensor(), Tensor()};
  }
};

}  // namespace

Precision precision_from(std::string_view name) {
  if (name == "fp32") return Precision::fp32;
  if (name == "bf16") return Precision::bf16;
  throw core::ConfigError("product", core::unknown_name("precision", name, {"fp32", "bf16"}));
}
const char* name_of(Precision p) { return p == Precision::bf16 ? "bf16" : "fp32"; }

ProductChoice measure_products() {
  const at::NoGradGuard no_grad;
  Tensor a = at::empty({256, 512}), b = at::empty({512, 512});
  fill(a, uniform(1), 0, "measured products, left");
  fill(b, uniform(1), 0, "measured products, right");
  const Tensor a16 = a.to(at::kBFloat16), b16 = b.to(at::kBFloat16);
  const auto aten = [&] { return at::mm(a, b); };
  const auto onednn = [&] { return onednn_product(a, b); };
  ProductChoice best;
  aten();                                          // a library's first product sets it up
  if (runs(onednn) && race(onednn, aten).won()) {  // a tie stays with the default
    const bool strided = race([&] { return onednn_product(a.t(), a); }, [&] { return at::mm(a.t(), a); })
                             .won(0.75);  // near a tie the answer would hang on chance
    best.fp32 = strided ? ProductBackend::onednn : ProductBackend::mixed;
  }
  const auto fp32 = [&] { return best.fp32 == ProductBackend::aten ? aten() : onednn(); };
  const auto bf16 = [&] { return at::mm(a16, b16); };
  // A processor without bf16 instructions emulates them a hundred times slower: one small product tells.
  const auto small16 = [&] { return at::mm(a16.narrow(0, 0, 16), b16); };
  const auto small32 = [&] { return at::mm(a.narrow(0, 0, 16), b); };
  best.native_bf16 = race(small16, small32, 3).won(10) && race(bf16, fp32).won();
  return best;
}

std::string name_of(ProductChoice c) {
  const char* fp32 = c.fp32 == ProductBackend::onednn ? "onednn" : c.fp32 == ProductBackend::mixed ? "mixed" : "aten";
  return std::string(fp32) + (c.native_bf16 ? "+bf16" : "");
}

namespace {

// What was measured here once, or is now.
ProductChoice usual_products() {
  const int64_t threads = at::get_num_threads();
  const std::string kept = kept_products(threads);
  if (!kept.empty() && kept != "auto") try {
      return product_choice_from(kept);
    } catch (const core::ConfigError&) {  // of another build, or a processor that goes by the same name
    }
  const ProductChoice measured = measure_products();
  keep_products(threads, name_of(measured));
  return measured;
}

}  // namespace

ProductChoice product_choice_from(std::string_view name) {
  if (name == "auto") return usual_products();
  for (const ProductBackend fp32 : {ProductBackend::aten, ProductBackend::onednn, ProductBackend::mixed}) {
    for (const bool native_bf16 : {false, true}) {
      const ProductChoice c{fp32, native_bf16};
      if (name != name_of(c)) continue;
      const Tensor one = at::ones({16, 16});
      if (fp32 != ProductBackend::aten && !runs([&] { return onednn_product(one, one); }))
        throw core::ConfigError("product", "this processor cannot run oneDNN products, which 'product=" + std::string(name) + "' asks for");
      return c;
    }
  }
  throw core::ConfigError("product", core::unknown_name("product library", name,
                                                        {"auto", "aten", "onednn", "mixed", "aten+bf16", "onednn+bf16", "mixed+bf16"}));
}

void set_product_choice(ProductChoice c) { current = c; }
ProductChoice product_choice() { return current; }

Tensor raw_product(const Tensor& a, const Tensor& b, Precision p) {
  if (a.scalar_type() == at::kDouble) return at::mm(a, b);
  if (p == Precision::bf16) return bf16_product(a, b);
  return a.is_cuda() ? at::mm(a, b) : cpu_product(a, b);
}

void product_into(const Tensor& out, const Tensor& a, const Tensor& b, Precision p, bool accumulate) {
  Tensor to = out;
  if (a.scalar_type() == at::kDouble || (p == Precision::fp32 && !by_onednn(true))) {
    if (accumulate) to.addmm_(a, b);
    else at::mm_out(to, a, b);
    return;
  }
  const bool in_bf16 = p == Precision::bf16 && native(a);  // its result is rounded to bfloat16; `out` widens it while it is written
  if (in_bf16 && !accumulate && out.scalar_type() == at::kBFloat16) {
    at::mm_out(to, a.to(at::kBFloat16), b.to(at::kBFloat16));
    return;
  }
  const Tensor made = in_bf16 ? at::mm(a.to(at::kBFloat16), b.to(at::kBFloat16)) : raw_product(a, b, p);
  if (accumulate) to.add_(made);
  else to.copy_(made);
}

bool keeps_bf16(const Tensor& x, Precision p) { return p == Precision::bf16 && x.scalar_type() == at::kFloat && native(x); }

Tensor operand_of(const Tensor& a, Precision p) { return keeps_bf16(a, p) ? a.to(at::kBFloat16) : a; }

Tensor product(const Tensor& a, const Tensor& b, Precision p) { return Product::apply(a, b, static_cast<int64_t>(p)); }

Tensor linear(const Tensor& x, const Tensor& w, const Tensor& bias, Precision p) {
  const Tensor rows = x.reshape({-1, x.size(-1)});
  // A matrix that is a transposed view gets its gradient in the layout of what it is a view of from the plain product.
  const Tensor y = bias.defined() || w.is_contiguous()
                       ? Affine::apply(rows, w, bias.defined() ? std::optional(bias) : std::nullopt, static_cast<int64_t>(p))
                       : product(rows, w.t(), p);
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = w.size(0);
  return y.view(shape);
}

}  // namespace assay::tensor
