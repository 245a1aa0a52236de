#include "assay/arch/vocab/slice.h"

#include <ATen/ops/cat.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>

#include "assay/core/error.h"
#include "assay/layers/recompute.h"

namespace assay::arch::vocab {
namespace {

using tensor::constant;
using tensor::normal;

// The parts of a window that lie in one piece: first in the vocabulary, first in the window, width.
struct Piece {
  int64_t at, from, width;
};

std::vector<Piece> pieces(const Window& w, int64_t V) {
  const int64_t head = std::min(w.k, V - w.first);
  if (head == w.k) return {{w.first, 0, w.k}};
  return {{w.first, 0, head}, {0, head, w.k - head}};
}

bool meet(const Window& a, const Window& b, int64_t V) {
  for (const Piece& p : pieces(a, V))
    for (const Piece& q : pieces(b, V))
      if (p.at < q.at + q.width && q.at < p.at + p.width) return true;
  return false;
}

bool conflict(const Windows& a, const Windows& b, int64_t V) {
  return meet(a.write, b.read, V) || meet(b.write, a.read, V) || meet(a.write, b.write, V);
}

// One pass over x forward and none backward, where a scatter and its derivative take several.
struct AddWindow : torch::autograd::Function<AddWindow> {
  static Tensor forward(torch::autograd::AutogradContext* ctx, const Tensor& x, const Tensor& o, int64_t first) {
    ctx->saved_data["first"] = first;
    ctx->saved_data["k"] = o.size(-1);
    Tensor y = x.clone();
    for (const Piece& p : pieces({first, o.size(-1)}, x.size(-1))) y.narrow(-1, p.at, p.width).add_(o.narrow(-1, p.from, p.width));
    return y;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx, const torch::autograd::variable_list& g) {
    return {g[0], read(g[0], {ctx->saved_data["first"].toInt(), ctx->saved_data["k"].toInt()}), Tensor()};
  }
};

}  // namespace

Windows windows_of(int64_t i, int64_t total, int64_t V, int64_t k) {
  if (k > V)
    throw core::ConfigError(
        "model", "k_active=" + std::to_string(k) + " is wider than the vocabulary: wanted at most vocab_size=" + std::to_string(V));
  const int64_t first = i * (V / total) % V;
  return {{first, k}, {(first + V / 2) % V, k}};
}

Tensor read(const Tensor& x_BTV, const Window& w) {
  const std::vector<Piece> parts = pieces(w, x_BTV.size(-1));
  const auto part = [&](const Piece& p) { return x_BTV.narrow(-1, p.at, p.width); };
  return parts.size() == 1 ? part(parts[0]) : at::cat({part(parts[0]), part(parts[1])}, -1);
}

Tensor add(const Tensor& x_BTV, const Tensor& o_BTk, const Window& w) { return AddWindow::apply(x_BTV, o_BTk, w.first); }

std::vector<std::vector<size_t>> waves(const std::vector<Windows>& steps, int64_t V) {
  std::vector<std::vector<size_t>> all;
  std::vector<bool> assigned(steps.size());
  for (size_t i = 0; i < steps.size(); ++i) {
    if (assigned[i]) continue;
    all.push_back({i});
    for (size_t j = i + 1; j < steps.size(); ++j) {
      const auto& members = all.back();
      if (assigned[j] || std::any_of(members.begin(), members.end(), [&](size_t m) { return conflict(steps[m], steps[j], V); })) continue;
      all.back().push_back(j);
      assigned[j] = true;
    }
  }
  return all;
}

std::vector<Tensor> SliceStep::parameters() const {
  return {memory.W_q_kk, memory.W_k_kk, memory.W_v_kk, memory.W_o_kk, memory.delta, memory.s,
          mem_scale,     W_down_hk,     W_up_kh,       b_h,           write_scale};
}

SliceMemory Sliced::add_memory(tensor::Params& p, const std::string& prefix, int64_t k, double decay_init) {
  const auto square = [&](const char* name) { return p.add(prefix + name, {k, k}, normal(0.02)); };
  return {square("q_proj.weight"),
          square("k_proj.weight"),
          square("v_proj.weight"),
          square("o_proj.weight"),
          p.add(prefix + "decay_logit", {}, constant(decay_init)),
          p.add(prefix + "out_scale", {}, constant(0.1))};
}

SliceStep Sliced::add_step(tensor::Params& p, const std::string& prefix, int64_t k, int64_t h, double decay_init) {
  return {add_memory(p, prefix + "memory.", k, decay_init),   p.add(prefix + "mem_scale", {1}, constant(1)),
          p.add(prefix + "down.weight", {h, k}, normal(0.1)), p.add(prefix + "up.weight", {k, h}, normal(0.1)),
          p.add(prefix + "mlp_bias", {h}, constant(0)),       p.add(prefix + "write_scale", {}, constant(0.1))};
}

Tensor Sliced::remember(const SliceMemory& m, const Tensor& g_BTk) {
  const double scale = 1 / std::sqrt(static_cast<double>(g_BTk.size(-1)));
  const std::vector<Tensor> qkv = linears(g_BTk, {m.W_q_kk, m.W_k_kk, m.W_v_kk});
  const Tensor o_BTk = attend(qkv[0] * scale, qkv[1], qkv[2], m.delta);
  return linear(o_BTk, m.W_o_kk);
}

Tensor Sliced::gather(const SliceMemory& m, const Tensor& mem_scale, const Tensor& x_BTV, const Window& window) {
  return narrow_step(read(x_BTV, window), mem_scale * m.s, [&](const Tensor& z_BTk) { return remember(m, z_BTk); });
}

Tensor Sliced::output(const SliceStep& s, const Tensor& g_BTk, layers::Activation a) const {
  const double scale = 1 / std::sqrt(static_cast<double>(g_BTk.size(-1)));
  return linear(layers::activate(linear(normalised_operand(g_BTk), s.W_down_hk, s.b_h), a), s.W_up_kh) * (s.write_scale * scale);
}

void SteppedSlices::add_steps(tensor::Params& p, int64_t k, double decay_init) {
  for (int64_t i = 0; i < waves_.num_steps; ++i) {
    windows_.push_back(windows_of(i, waves_.num_steps, vocab_size(), k));
    steps_.push_back(add_step(p, "steps." + std::to_string(i) + ".", k, k * waves_.inner_mul, decay_init));
    groups_.push_back({static_cast<size_t>(i)});
  }
  if (waves_.parallel_waves) groups_ = waves(windows_, vocab_size());
}

Tensor SteppedSlices::steps(Tensor x_BTV, const Observer& seen) {
  for (const auto& group : groups_) {
    const Tensor before_BTV = x_BTV;
    for (const size_t i : group) {
      x_BTV = add(x_BTV, delta(i, before_BTV), windows_[i].write);
      seen("steps." + std::to_string(i), x_BTV);
    }
  }
  return x_BTV;
}

Tensor SteppedSlices::delta(size_t i, const Tensor& x_BTV) {
  const SliceStep& s = steps_[i];
  const auto once = [this, &s, i](const Tensor& x) { return output(s, gather(s.memory, s.mem_scale, x, windows_[i].read), activation_); };
  if (!waves_.grad_checkpoint || !at::GradMode::is_enabled()) return once(x_BTV);
  std::vector<Tensor> inputs = s.parameters();
  inputs.push_back(x_BTV);
  return layers::recompute([once](const std::vector<Tensor>& in) { return once(in.back()); }, inputs);
}

}  // namespace assay::arch::vocab
