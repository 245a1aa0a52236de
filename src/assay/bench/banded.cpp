#include "assay/bench/banded.h"

#include <ATen/ops/randn.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <array>

#include "assay/bench/time_calls.h"
#include "assay/core/error.h"
#include "assay/core/log.h"
#include "assay/ops/banded_product/band_blocks.h"
#include "assay/ops/banded_product/banded_windows.h"
#include "assay/tensor/product.h"
#include "assay/train/session.h"

namespace assay::bench {
namespace {

using core::Value;
using ops::Band;

constexpr int64_t kBandwidths = 7;  // halves of the longer side

struct Setting {
  at::Device device;
  tensor::Precision precision;
  int64_t tokens;
  double copy_gb_per_s;

  bool bf16() const { return precision == tensor::Precision::bf16; }
  // Between products a model's activations are bfloat16 on CUDA.
  at::ScalarType activations() const { return bf16() && device.is_cuda() ? at::kBFloat16 : at::kFloat; }
  Tensor random(int64_t rows, int64_t columns) const {
    return at::randn({rows, columns}, at::TensorOptions().device(device)).to(activations());
  }
};

// The result and the gradients of x and of the weights, new ones with every call.
using Results = std::array<Tensor, 3>;
template <class F>
Results pass(const Tensor& x, const Tensor& weights, const Tensor& g, const F& f) {
  const at::AutoGradMode grad(true);
  const Tensor x_leaf = x.detach().requires_grad_(true), w_leaf = weights.detach().requires_grad_(true);
  const Tensor y = f(x_leaf, w_leaf);
  torch::autograd::backward({y}, {g});
  return {y.detach(), x_leaf.grad(), w_leaf.grad()};
}

void require_agreement(const Results& got, const Results& want, double tolerance) {
  const char* names[] = {"result", "gradient of x", "gradient of the weights"};
  for (size_t i = 0; i < got.size(); ++i) {
    const Tensor w = want[i].to(at::kFloat);
    const double error = ((got[i].to(at::kFloat) - w).norm() / w.norm()).item().toDouble();
    if (!(error <= tolerance))
      throw core::NumericsError("bench", std::string("the ") + names[i] + " of the banded product is " + std::to_string(error) +
                                             " from the dense one's; a wrong result has no speed");
  }
}

// Entries that are multiplied.
double tile_entries(const Band& band, const at::Device& device) {
  const double all = static_cast<double>(band.out * band.in);
  if (device.is_cuda()) {
    const auto windows = ops::BandWindows::of(band);
    return windows ? windows->entries() : all;
  }
  double sum = 0;
  for (const ops::BandBlock& b : ops::band_blocks(band)) sum += b.entries();
  return sum;
}

Value band_row(const Setting& s, const Band& band, const Tensor& x, const Tensor& g, double dense_ms) {
  const double all = static_cast<double>(band.out * band.in);
  const Tensor values = at::randn({band.count()}, at::TensorOptions().device(s.device));
  const auto banded = [&](const Tensor& in, const Tensor& w) { return ops::banded_product(in, w, band.out, band.bandwidth, s.bf16()); };
  const auto dense = [&](const Tensor& in, const Tensor& w) {
    return ops::banded_product_reference(in.to(at::kFloat), w, band.out, band.bandwidth).to(in.scalar_type());
  };
  require_agreement(pass(x, values, g, banded), pass(x, values, g, dense), s.bf16() ? 2e-2 : 1e-4);
  const Timing t = time_calls(s.device, true, [&] { pass(x, values, g, banded); });
  const double wide = static_cast<double>(x.element_size()), tile_density = tile_entries(band, s.device) / all;
  // Three products, each with its operands and its result once: x, W, y;  g, W, dx;  g, x, dW.
  const double bytes = static_cast<double>(3 * x.numel() + 3 * g.numel()) * wide + 12.0 * static_cast<double>(band.count());
  const double tile_ms = dense_ms * tile_density, byte_ms = bytes / s.copy_gb_per_s / 1e6, floor_ms = std::max(tile_ms, byte_ms);
  Value v = Value::object();
  v["bandwidth"] = band.bandwidth;
  v["density"] = band.density();
  v["tile_density"] = tile_density;
  v["ms"] = t.median_ms;
  v["spread_ms"] = t.spread();
  v["tile_ms"] = tile_ms;
  v["byte_ms"] = byte_ms;
  v["floor_ms"] = floor_ms;
  v["floor_fraction"] = floor_ms / t.median_ms;
  v["speedup"] = dense_ms / t.median_ms;
  return v;
}

// Bands in order of density: where their time passes the dense one.
double crossover(const Value& bands, double dense_ms) {
  double density = 0, ms = 0;
  for (const Value& b : bands.as_array()) {
    const double next = b.at("density").as_double(), next_ms = b.at("ms").as_double();
    if (next_ms >= dense_ms) return next_ms > ms && ms > 0 ? density + (next - density) * (dense_ms - ms) / (next_ms - ms) : next;
    density = next;
    ms = next_ms;
  }
  return 1;
}

Value matrix(const Setting& s, const std::string& name, int64_t out, int64_t in, const std::function<void(const std::string&)>& report) {
  const Tensor x = s.random(s.tokens, in), g = s.random(s.tokens, out);
  const Tensor w = at::randn({out, in}, at::TensorOptions().device(s.device));
  const auto product = [&](const Tensor& rows, const Tensor& weights) { return tensor::linear(rows, weights, {}, s.precision); };
  report(name + ", dense");
  const double dense_ms = time_calls(s.device, true, [&] { pass(x, w, g, product); }).median_ms;
  Value v = Value::object();
  v["matrix"] = name;
  v["out"] = out;
  v["in"] = in;
  v["dense_ms"] = dense_ms;
  v["dense_gflops"] = 6.0 * static_cast<double>(s.tokens * out * in) / dense_ms / 1e6;
  v["bands"] = Value::array();
  const int64_t wide = std::max(out, in);
  for (int64_t bandwidth = wide >> (kBandwidths - 1); bandwidth <= wide; bandwidth *= 2) {
    report(name + ", bandwidth " + std::to_string(bandwidth));
    v["bands"].push_back(band_row(s, {out, in, bandwidth}, x, g, dense_ms));
  }
  v["crossover_density"] = crossover(v.at("bands"), dense_ms);
  return v;
}

}  // namespace

core::Value bench_banded(const BandedOptions& options) {
  const at::NoGradGuard no_grad;
  if (options.width < 16) throw core::ConfigError("bench", "--width must be at least 16, got " + std::to_string(options.width));
  if (options.tokens < 0) throw core::ConfigError("bench", "--tokens must be at least 1, got " + std::to_string(options.tokens));
  const train::Machine machine = train::prepare_machine(options.machine);
  const int64_t tokens = options.tokens > 0 ? options.tokens : machine.device.is_cuda() ? 16384 : 2048;
  const Setting s{machine.device, tensor::precision_from(options.machine.precision), tokens, copy_rate(machine.device)};
  Value v = Value::object();
  v["name"] = "banded_product";
  v["device"] = options.machine.device;
  v["dtype"] = options.machine.precision;
  v["threads"] = machine.threads;
  v["product_backend"] = machine.product;
  v["tokens"] = tokens;
  v["width"] = options.width;
  v["copy_gb_per_s"] = s.copy_gb_per_s;
  v["matrices"] = Value::array();
  core::Progress progress("banded", 2 * (1 + kBandwidths));
  int64_t done = 0;
  const auto report = [&](const std::string& note) { progress.update(done++, note); };
  v["matrices"].push_back(matrix(s, "fc1", 4 * options.width, options.width, report));
  v["matrices"].push_back(matrix(s, "fc2", options.width, 4 * options.width, report));
  report("done");
  return v;
}

}  // namespace assay::bench
