#include "assay/tensor/params.h"

#include <ATen/ops/full.h>
#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "assay/core/error.h"
#include "assay/tensor/device.h"

namespace assay::tensor {
namespace {

constexpr int64_t kAlignment = 16;  // elements: 64 bytes of float

int64_t padded(int64_t n) { return (n + kAlignment - 1) / kAlignment * kAlignment; }

// Before the kernel ends the process, or another one. `first`: elements of the parameters before this one, which are there already; `seal` will
// want all of them twice again. Small ones are not worth the question.
void require_memory(const Params::Entry& e, int64_t first, double element, bool on_cpu) {
  constexpr double kSmall = 64 << 20;
  const auto own = static_cast<double>(e.numel), all = static_cast<double>(first) + own;
  if (own * element < kSmall) return;
  const double wanted = element * (own + (on_cpu ? 2 * all : 0));
  const auto free = static_cast<double>(free_bytes(at::kCPU));
  if (free < 0 || wanted <= free) return;
  throw core::ResourceError("memory", fmt::format("the parameters up to '{}' and their gradients want {:.2f} GB more, {:.2f} GB are free",
                                                  e.name, wanted / 1e9, free / 1e9));
}

}  // namespace

Tensor Params::add(const std::string& name, std::vector<int64_t> shape, const Init& init, const Treatment& treatment) {
  if (values_.defined()) throw std::logic_error("Params::add after seal: " + name);
  if (find(name) != nullptr) throw core::ConfigError("params", "parameter '" + name + "' was added twice");
  Entry e{name, std::move(shape), init, treatment, 0, 1, {}};
  for (int64_t d : e.shape) e.numel *= d;
  if (!entries_.empty()) e.offset = entries_.back().offset + padded(entries_.back().numel);
  require_memory(e, e.offset, static_cast<double>(c10::elementSize(dtype_)), device_.is_cpu());
  e.value = at::empty(e.shape, at::TensorOptions().dtype(dtype_));
  fill(e.value, init, seed_, name);
  entries_.push_back(e);
  return e.value;
}

Tensor Params::add_state(const std::string& name, std::vector<int64_t> shape, double value) {
  if (values_.defined()) throw std::logic_error("Params::add_state after seal: " + name);
  if (std::any_of(states_.begin(), states_.end(), [&](const State& s) { return s.name == name; }))
    throw core::ConfigError("params", "state '" + name + "' was added twice");
  states_.push_back({name, at::full(shape, value, at::TensorOptions().dtype(dtype_))});
  return states_.back().value;
}

void Params::seal() {
  const int64_t size = entries_.empty() ? 0 : entries_.back().offset + padded(entries_.back().numel);
  const auto options = at::TensorOptions().dtype(dtype_).device(device_);
  values_ = at::zeros({size}, options);
  grads_ = at::zeros({size}, options);
  for (Entry& e : entries_) {
    const Tensor slot = view(values_, e);
    slot.copy_(e.value);
    e.value.set_data(slot);
    if (!e.treatment.trained) continue;
    e.value.requires_grad_(true);
    e.value.mutable_grad() = view(grads_, e);
  }
  for (State& s : states_)
    if (!device_.is_cpu()) s.value.set_data(s.value.to(device_));
}

const Params::Entry* Params::find(std::string_view name) const {
  for (const Entry& e : entries_)
    if (e.name == name) return &e;
  return nullptr;
}

int64_t Params::count() const {
  return std::accumulate(entries_.begin(), entries_.end(), int64_t{0}, [](int64_t n, const Entry& e) { return n + e.numel; });
}

Tensor Params::like_values() const { return at::zeros({values_.size(0)}, values_.options()); }

Tensor Params::view(const Tensor& flat, const Entry& e) const { return flat.narrow(0, e.offset, e.numel).view(e.shape); }

}  // namespace assay::tensor
