#include "assay/export/int8.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/clamp_min.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/quantile.h>
#include <ATen/ops/round.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <vector>

#include "assay/core/error.h"

namespace assay::exporting {
namespace {

constexpr double kClip = 0.9999984, kLevels = 127;
constexpr int64_t kQuantileElements = 1 << 24;  // at most so many at once

constexpr std::string_view kControl[] = {
    "mem_scale",      "op_scale",  "read_coeffs",  "write_coeffs", "channel_mix", "bias",         "out_scale", "logit_scale",
    "decay_logit",    "coeffs",    "diag",         "mix_down",     "mix_up",      "decay_logits", "_override", "freq_to_ch",
    "ch_to_freq",     "weight",    "op_logits",    "op_weights",   "op_biases",   "q_scale",      "k_scale",   "prop_scale",
    "interact_scale", "halt_proj", "act_selector", "scale_gate",   "t_scale",     "write_scale",  "mlp_bias"};

Tensor clip_of_rows(const Tensor& w_RC) {
  const int64_t rows = w_RC.size(0), each = std::max<int64_t>(1, kQuantileElements / std::max<int64_t>(1, w_RC.size(1)));
  std::vector<Tensor> parts;
  for (int64_t r = 0; r < rows; r += each) parts.push_back(at::quantile(w_RC.narrow(0, r, std::min(each, rows - r)).abs(), kClip, 1));
  return at::cat(parts);
}

// The linear interpolation of at::quantile over as many elements as there are.
Tensor clip_of_all(const Tensor& w) {
  if (w.numel() <= kQuantileElements) return at::quantile(w.abs().flatten(), kClip, 0);
  const Tensor sorted = std::get<0>(w.abs().flatten().sort());
  const double at = kClip * static_cast<double>(w.numel() - 1);
  const auto below = static_cast<int64_t>(at);
  return sorted[below] + (sorted[std::min(below + 1, w.numel() - 1)] - sorted[below]) * (at - static_cast<double>(below));
}

Tensor quantized(const Tensor& w, const Tensor& clip, const Tensor& scale) {
  return at::clamp(at::round(at::clamp(w, -clip, clip) / scale), -kLevels, kLevels).to(at::kChar);
}

}  // namespace

const char* name_of(Packed::Kind kind) {
  switch (kind) {
    case Packed::Kind::rows: return "int8 rows";
    case Packed::Kind::whole: return "int8";
    case Packed::Kind::half: return "fp16";
    case Packed::Kind::exact: return "fp32";
  }
  return "";
}

bool is_control(std::string_view name) {
  return std::any_of(std::begin(kControl), std::end(kControl), [&](std::string_view part) { return name.find(part) != name.npos; });
}

Packed pack(const std::string& name, const Tensor& value, const Int8Rules& rules) {
  const at::NoGradGuard no_grad;
  const Tensor w = value.detach().to(at::kCPU, at::kFloat).contiguous();
  if (!at::isfinite(w).all().item().toBool()) throw core::DataError("export", "tensor '" + name + "' is not finite");
  Packed p{name, Packed::Kind::exact, w, {}};
  if (w.numel() <= rules.keep) {
    if (is_control(name)) return p;
    p.kind = Packed::Kind::half;
    p.values = w.to(at::kHalf);
    return p;
  }
  if (w.dim() == 2) {
    const Tensor clip_R1 = clip_of_rows(w).unsqueeze(1), scale_R1 = at::clamp_min(clip_R1 / kLevels, rules.scale_floor);
    p.kind = Packed::Kind::rows;
    p.values = quantized(w, clip_R1, scale_R1);
    p.scales = scale_R1.squeeze(1).to(at::kHalf);
    return p;
  }
  const Tensor clip = clip_of_all(w), scale = at::where(clip > 0, clip / kLevels, at::ones_like(clip));
  p.kind = Packed::Kind::whole;
  p.values = quantized(w, clip, scale);
  p.scales = scale;
  return p;
}

Tensor unpack(const Packed& p) {
  const Tensor values = p.values.to(at::kFloat);
  switch (p.kind) {
    case Packed::Kind::rows: return values * p.scales.to(at::kFloat).unsqueeze(1);
    case Packed::Kind::whole: return values * p.scales;
    default: return values;
  }
}

int64_t bytes_of(const Packed& p) { return static_cast<int64_t>(p.values.nbytes() + (p.scales.defined() ? p.scales.nbytes() : 0)); }

}  // namespace assay::exporting
