#include "assay/bench/time_calls.h"

#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "assay/core/log.h"
#include "assay/tensor/device.h"
#include "assay/tensor/graph.h"

namespace assay::bench {

namespace {

Timing time_blocks(const at::Device& device, bool recorded, int blocks, const std::function<void()>& call) {
  const int together = device.is_cuda() ? 20 : 1;
  const auto calls = [&] {
    for (int i = 0; i < together; ++i) call();
  };
  for (int i = 0; i < 2; ++i) call();
  const std::unique_ptr<tensor::Graph> graph = recorded ? tensor::capture(device, calls) : nullptr;
  std::vector<double> ms;
  for (int block = 0; block < blocks + 2; ++block) {
    tensor::synchronize(device);
    const double begin = core::monotonic_seconds();
    if (graph != nullptr) graph->replay();
    else calls();
    tensor::synchronize(device);
    if (block >= 2) ms.push_back(1e3 * (core::monotonic_seconds() - begin) / together);
  }
  return summarize(ms);
}

}  // namespace

Timing time_calls(const at::Device& device, bool recorded, const std::function<void()>& call) {
  return time_blocks(device, recorded, 10, call);
}

Timing time_calls(const at::Device& device, const std::function<void()>& call) { return time_calls(device, false, call); }

double copy_rate(const at::Device& device) {
  const int64_t million = 1 << 20;
  const Tensor from = at::randn({(device.is_cuda() ? 256 : 64) * million}, at::TensorOptions().device(device)), to = at::empty_like(from);
  const Timing copy = time_calls(device, [&] { to.copy_(from); });
  return 8.0 * static_cast<double>(from.numel()) / copy.median_ms / 1e6;
}

double product_rate(const at::Device& device, tensor::Precision precision) {
  const at::NoGradGuard no_grad;
  const int64_t n = device.is_cuda() ? 8192 : 1024;
  const bool narrow = device.is_cuda() && precision == tensor::Precision::bf16;
  const Tensor a = at::randn({n, n}, at::TensorOptions().device(device)).to(narrow ? at::kBFloat16 : at::kFloat);
  double ms = std::numeric_limits<double>::infinity();
  for (int burst = 0; burst < 3; ++burst)
    ms = std::min(ms, time_blocks(device, false, 4, [&] { narrow ? at::mm(a, a) : tensor::raw_product(a, a, precision); }).median_ms);
  return 2.0 * std::pow(static_cast<double>(n), 3) / 1e6 / ms;
}

}  // namespace assay::bench
