#include "ops/op_case.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/ones.h>
#include <doctest/doctest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "assay/core/error.h"
#include "assay/tensor/device.h"
#include "ops/schema_watch.h"

namespace assay::testing {
namespace {

// Fresh leaves of another dtype, device and memory order.
Tensors leaves(const Tensors& from, at::ScalarType dtype, const at::Device& device, bool transposed = false) {
  Tensors out;
  for (const Tensor& t : from) {
    Tensor copy = t.detach().to(device, dtype).clone();
    if (transposed && copy.dim() >= 2) copy = copy.transpose(-1, -2).contiguous().transpose(-1, -2);
    out.push_back(copy.requires_grad_(true));
  }
  return out;
}

double distance(const Tensor& a, const Tensor& b) {
  const Tensor x = a.detach().cpu().to(at::kDouble), y = b.detach().cpu().to(at::kDouble);
  if (!at::isfinite(x).all().item().toBool()) return INFINITY;
  const double size = at::linalg_vector_norm(y).item().toDouble(), off = at::linalg_vector_norm(x - y).item().toDouble();
  return size > 0 ? off / size : off;
}

struct Result {
  Tensor value;
  Tensors grads;
};

Tensors rounded_to_bf16(const Tensors& from) {
  Tensors out;
  for (const Tensor& t : from) out.push_back(t.to(at::kBFloat16).to(t.scalar_type()));
  return out;
}

// A fixed, random-looking upstream gradient in float64, of which bfloat16 takes each number as it is; 1 for a scalar.
Tensor upstream(at::IntArrayRef shape) {
  Tensor w = at::ones(shape, at::TensorOptions().dtype(at::kDouble));
  if (w.dim() == 0) return w;
  for (int64_t i = 0; i < w.numel(); ++i) w.data_ptr<double>()[i] = std::sin(0.7 * static_cast<double>(i));
  return w.to(at::kBFloat16).to(at::kDouble);
}

Result differentiate(const std::function<Tensor(const Tensors&)>& f, const Tensors& inputs) {
  Result r;
  r.value = f(inputs);
  torch::autograd::backward({(r.value * upstream(r.value.sizes()).to(r.value.device(), r.value.scalar_type())).sum()}, {});
  for (const Tensor& t : inputs) r.grads.push_back(t.grad());
  return r;
}

void compare(const std::string& what, const Result& got, const Result& want, double tolerance) {
  INFO(what);
  CHECK(got.value.sizes() == want.value.sizes());
  CHECK(distance(got.value, want.value) <= tolerance);
  for (size_t i = 0; i < want.grads.size(); ++i) {
    INFO("gradient of input " << i);
    REQUIRE(got.grads[i].defined());
    CHECK(distance(got.grads[i], want.grads[i]) <= tolerance);
  }
}

// What each registered op that the case calls does, against its schema and its Meta form.
void check_schemas(const OpCase& c, const Tensors& inputs, const at::Device& device) {
  INFO(c.name << ": schemas");
  SchemaWatch watch;
  differentiate(c.op, leaves(inputs, at::kFloat, device));
  differentiate(c.op, leaves(inputs, at::kDouble, device, true));
  if (c.op_bf16) differentiate(c.op_bf16, leaves(inputs, at::kFloat, device));
  if (c.registered) watch.check();
}

// Central differences in float64 at two entries of every input.
void check_finite_differences(const OpCase& c, const Tensors& inputs) {
  const at::Device cpu(at::kCPU);
  Tensors x = leaves(inputs, at::kDouble, cpu);
  const Result r = differentiate(c.op, x);
  const Tensor weight = upstream(r.value.sizes());
  const auto objective = [&](const Tensors& at_point) { return (c.op(at_point) * weight).sum().item().toDouble(); };
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const double largest = r.grads[i].numel() > 0 ? r.grads[i].abs().max().item().toDouble() : 0;
    for (int64_t entry : {int64_t{0}, inputs[i].numel() / 2}) {
      if (entry >= inputs[i].numel()) continue;
      Tensors moved = leaves(inputs, at::kDouble, cpu);
      double* p = moved[i].data_ptr<double>() + entry;
      const double start = *p, h = 1e-5;
      *p = start + h;
      const double up = objective(moved);
      *p = start - h;
      const double down = objective(moved);
      INFO(c.name << ": input " << i << ", entry " << entry);
      CHECK(r.grads[i].contiguous().data_ptr<double>()[entry] == doctest::Approx((up - down) / (2 * h)).epsilon(1e-6).scale(1 + largest));
    }
  }
}

// While alive, at::empty is filled with NaN.
class Poison {
 public:
  Poison() { set(true); }
  ~Poison() { set(false); }

 private:
  static void set(bool on) {
    at::globalContext().setDeterministicAlgorithms(on, /*warn_only=*/true);
    at::globalContext().setDeterministicFillUninitializedMemory(on);
  }
};

void check_meta(const OpCase& c, const Tensors& inputs, const Tensor& value) {
  Tensors meta;
  for (const Tensor& t : inputs) meta.push_back(t.detach().to(at::Device(at::kMeta)));
  const Tensor shape = c.op(meta);
  CHECK(shape.device().is_meta());
  CHECK(shape.sizes() == value.sizes());
  CHECK(shape.strides() == value.strides());
}

// To bf16_tolerance, or as near as ordinary calls in that precision come: a gradient of few numbers, sums that nearly cancel, is only as good as the
// rounding of what it sums.
void check_bf16(const OpCase& c, const Tensors& inputs, const Result& want, const at::Device& device) {
  const Result got = differentiate(c.op_bf16, leaves(inputs, at::kFloat, device));
  const Result composite = c.composite_bf16 ? differentiate(c.composite_bf16, leaves(inputs, at::kFloat, device)) : want;
  const auto near = [&](const std::string& what, const Tensor& a, const Tensor& plain, const Tensor& right) {
    INFO(c.name << " bf16: " << what);
    CHECK(distance(a, right) <= std::max(c.bf16_tolerance, 1.1 * distance(plain, right)));
  };
  CHECK(got.value.sizes() == want.value.sizes());
  near("value", got.value, composite.value, want.value);
  for (size_t i = 0; i < want.grads.size(); ++i) {
    REQUIRE(got.grads[i].defined());
    near("gradient of input " + std::to_string(i), got.grads[i], composite.grads[i], want.grads[i]);
  }
}

}  // namespace

void check_op(const OpCase& c, const at::Device& device) {
  const Tensors inputs = c.inputs(1);
  const at::Device cpu(at::kCPU);
  const Result want = differentiate(c.reference, leaves(inputs, at::kDouble, cpu));

  compare(c.name + " float64", differentiate(c.op, leaves(inputs, at::kDouble, device)), want, 1e-12);
  compare(c.name + " non-contiguous", differentiate(c.op, leaves(inputs, at::kDouble, device, true)), want, 1e-12);
  Result first;
  {
    const Poison poison;
    first = differentiate(c.op, leaves(inputs, at::kFloat, device));
    compare(c.name + " float32, poisoned", first, want, c.tolerance);
  }
  const Result second = differentiate(c.op, leaves(inputs, at::kFloat, device));
  INFO(c.name << " repeats bit for bit");
  CHECK(at::equal(first.value, second.value));
  for (size_t i = 0; i < first.grads.size(); ++i) CHECK(at::equal(first.grads[i], second.grads[i]));

  if (c.meta) check_meta(c, inputs, first.value);
  if (c.op_bf16) check_bf16(c, inputs, want, device);
  check_schemas(c, inputs, device);
  if (device.is_cpu()) check_finite_differences(c, inputs);
}

namespace {

// Of one tensor, over several draws of the inputs.
class Errors {
 public:
  void add(const Tensor& got, const Tensor& exact) {
    const Tensor right = exact.detach().to(at::kDouble), off = got.detach().cpu().to(at::kDouble) - right;
    numbers_ += right.numel();
    squares_ += off.square().sum().item().toDouble();
    size_ += right.square().sum().item().toDouble();
    const Tensor rows = right.norm(2, {-1}), wrong = off.norm(2, {-1});
    // A row that should be nothing is measured by the others.
    const double usual = std::sqrt(rows.square().mean().item().toDouble());
    worst_.push_back(usual > 0 ? wrong.div(rows.where(rows > 0, usual)).max().item().toDouble() : wrong.max().item().toDouble());
  }
  int64_t numbers() const { return numbers_; }
  double rms() const { return std::sqrt(squares_ / size_); }
  const std::vector<double>& worst_rows() const { return worst_; }  // of each draw

 private:
  int64_t numbers_ = 0;
  double squares_ = 0, size_ = 0;
  std::vector<double> worst_;
};

bool prints_errors() { return std::getenv("ASSAY_PRINT_ERRORS") != nullptr; }

double ratio(double a, double b) { return a == b ? 1 : a / b; }  // neither may have an error

// The worst row of one draw is chance: a row that nearly cancels. So the geometric mean of the draws' ratios.
double ratio(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += std::log(ratio(a[i], b[i]));
  return std::exp(sum / static_cast<double>(a.size()));
}

using Function = std::function<Tensor(const Tensors&)>;

void compare_errors(const OpCase& c, const Function& op, const Function& composite, bool bf16, const at::Device& device) {
  constexpr int64_t kFewest = 4096;
  constexpr uint64_t kDraws = 16;
  std::vector<Errors> of_op, of_composite;
  for (uint64_t seed = 1; seed <= kDraws; ++seed) {
    const Tensors inputs = bf16 ? rounded_to_bf16(c.inputs(seed)) : c.inputs(seed);
    const Result exact = differentiate(c.reference, leaves(inputs, at::kDouble, at::Device(at::kCPU)));
    of_op.resize(1 + inputs.size());
    of_composite.resize(1 + inputs.size());
    const auto add = [&](const Result& r, std::vector<Errors>& to) {
      to[0].add(r.value, exact.value);
      for (size_t i = 0; i < inputs.size(); ++i) to[i + 1].add(r.grads[i], exact.grads[i]);
    };
    add(differentiate(op, leaves(inputs, at::kFloat, device)), of_op);
    add(differentiate(composite, leaves(inputs, at::kFloat, device)), of_composite);
  }
  const std::string precision = bf16 ? "bfloat16" : "float32";
  for (size_t i = 0; i < of_op.size(); ++i) {
    if (of_op[i].numbers() < kFewest) continue;
    const std::string what = i == 0 ? "value" : "gradient " + std::to_string(i - 1);
    const double rms = ratio(of_op[i].rms(), of_composite[i].rms()), worst = ratio(of_op[i].worst_rows(), of_composite[i].worst_rows());
    if (prints_errors())
      std::printf("| %s | %s | %s | %s | %.2f | %.2f | %.1e |\n", device.is_cpu() ? "cpu" : "cuda", precision.c_str(), c.name.c_str(),
                  what.c_str(), rms, worst, of_op[i].rms());
    if (!device.is_cpu()) continue;  // not seen yet
    INFO(c.name << ": " << what << " in " << precision);
    CHECK(rms <= 1.1);
    CHECK(worst <= 1.1);
  }
}

}  // namespace

void check_accuracy(const OpCase& c, const at::Device& device) {
  if (!device.is_cpu() && !prints_errors()) return;
  compare_errors(c, c.op, c.reference, false, device);
  if (c.op_bf16 && c.composite_bf16) compare_errors(c, c.op_bf16, c.composite_bf16, true, device);
}

const at::Device* cuda_or_skip() {
  static const at::Device* found = []() -> const at::Device* {
    try {
      static const at::Device device = tensor::open_device("cuda");
      return &device;
    } catch (const core::DeviceError& e) {
      MESSAGE("skipped: " << std::string(e.what()));
      return nullptr;
    }
  }();
  return found;
}

std::vector<const at::Device*> devices() {
  static const at::Device cpu(at::kCPU);
  const at::Device* cuda = cuda_or_skip();
  return cuda == nullptr ? std::vector{&cpu} : std::vector{&cpu, cuda};
}

}  // namespace assay::testing
