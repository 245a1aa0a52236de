#include "assay/inspect/sharpness.h"

#include <ATen/ops/dot.h>
#include <ATen/ops/linalg_vector_norm.h>

#include <cmath>
#include <cstdio>
#include <limits>

#include "assay/core/random.h"
#include "assay/train/step.h"

namespace assay::inspect {
namespace {

class Probe {
 public:
  Probe(const arch::Built& built, std::span<const train::Batch> batches)
      : built_(built), batches_(batches), start_(built.params->values().detach().clone()) {}
  ~Probe() { move({}, 0); }
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;

  // Weights at start + h direction.
  void move(const Tensor& direction, double h) {
    const at::NoGradGuard no_grad;
    built_.params->values().copy_(direction.defined() ? start_ + direction * h : start_);
  }
  double loss_and_gradient(Tensor* gradient) {
    const double loss = train::accumulate_gradients(built_, batches_, {});
    if (gradient != nullptr) *gradient = built_.params->grads().detach().clone();
    return loss;
  }
  // (g(w + h v) - g(w - h v)) / 2h for a unit vector.
  Tensor product(const Tensor& v, double h) {
    Tensor above, below;
    move(v, h);
    loss_and_gradient(&above);
    move(v, -h);
    loss_and_gradient(&below);
    move({}, 0);
    return (above - below) / (2 * h);
  }

  // Normal numbers at the trained parameters, each tensor scaled by `size(tensor)`.
  template <class Size>
  Tensor noise(uint64_t seed, uint64_t draw, Size size) const {
    Tensor out = built_.params->like_values();
    const at::NoGradGuard no_grad;
    for (const auto& e : built_.params->entries()) {
      if (!e.treatment.trained) continue;
      const core::Stream stream(seed, "sharpness/" + e.name, draw);
      Tensor x = at::empty({e.numel}, at::TensorOptions().dtype(at::kDouble));
      for (int64_t i = 0; i < e.numel; ++i) x.data_ptr<double>()[i] = stream.normal(static_cast<uint64_t>(i));
      built_.params->view(out, e).copy_((x * size(built_.params->view(start_, e))).view(e.shape));
    }
    return out;
  }

  double step() const {  // balances rounding of the gradient against the third derivative
    const double digits =
        start_.scalar_type() == at::kDouble ? std::numeric_limits<double>::epsilon() : std::numeric_limits<float>::epsilon();
    return std::cbrt(digits) *
           std::max(1.0, at::linalg_vector_norm(start_).item().toDouble() / std::sqrt(static_cast<double>(start_.numel())));
  }

 private:
  const arch::Built& built_;
  std::span<const train::Batch> batches_;
  Tensor start_;
};

Tensor normalised(const Tensor& v) { return v / at::linalg_vector_norm(v); }

}  // namespace

Sharpness sharpness(const arch::Built& built, std::span<const train::Batch> batches, const SharpnessOptions& options) {
  Sharpness s;
  Probe probe(built, batches);
  s.loss = probe.loss_and_gradient(nullptr);
  const double h = probe.step();
  Tensor v = normalised(probe.noise(options.seed, 0, [](const Tensor&) { return 1.0; }));
  while (s.iterations < options.iterations) {
    ++s.iterations;
    const Tensor Hv = probe.product(v, h);
    const double before = s.top_eigenvalue;
    s.top_eigenvalue = at::dot(v, Hv).item().toDouble();
    s.residual = at::linalg_vector_norm(Hv - v * s.top_eigenvalue).item().toDouble() / std::max(std::abs(s.top_eigenvalue), 1e-300);
    if (s.iterations > 1 && std::abs(s.top_eigenvalue - before) < options.tolerance * std::abs(s.top_eigenvalue)) break;
    v = normalised(Hv);
  }
  for (const double noise : options.noise) {
    double total = 0;
    for (int64_t draw = 1; draw <= options.draws; ++draw) {
      probe.move(probe.noise(options.seed, static_cast<uint64_t>(draw),
                             [&](const Tensor& t) { return noise * std::sqrt(t.square().mean().item().toDouble()); }),
                 1);
      total += probe.loss_and_gradient(nullptr);
    }
    s.noisy.push_back({noise, total / static_cast<double>(options.draws)});
  }
  return s;
}

core::Value to_value(const Sharpness& s) {
  core::Value v = core::Value::object();
  v["loss"] = s.loss;
  v["top_eigenvalue"] = s.top_eigenvalue;
  v["residual"] = s.residual;
  v["iterations"] = s.iterations;
  v["noisy"] = core::Value::array();
  for (const Sharpness::Noisy& n : s.noisy) {
    core::Value one = core::Value::object();
    one["noise"] = n.noise;
    one["loss"] = n.loss;
    v["noisy"].push_back(std::move(one));
  }
  return v;
}

std::string to_text(const Sharpness& s) {
  char line[200];
  std::snprintf(line, sizeof line, "loss %.6f; top eigenvalue of its Hessian %.5g (residual %.2g after %lld products)\n", s.loss,
                s.top_eigenvalue, s.residual, static_cast<long long>(s.iterations));
  std::string out = line;
  for (const Sharpness::Noisy& n : s.noisy) {
    std::snprintf(line, sizeof line, "weights with %.3g of their size as noise: loss %.6f (%+.6f)\n", n.noise, n.loss, n.loss - s.loss);
    out += line;
  }
  return out;
}

}  // namespace assay::inspect
