#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <numeric>

#include "assay/ops/loss_head/loss_head.h"
#include "assay/ops/loss_head/loss_head_op.h"
#include "assay/ops/loss_head/loss_head_rows.h"
#include "assay/ops/wide_rows.h"

namespace assay::ops {
namespace {

constexpr int64_t kRowsAtOnce = 8;

float one_row(const float* x, float gain, int64_t target, const LossRowSettings<float>& s, float* dx, float* dgain, float* scratch) {
  return loss_rows().row_f32(x, gain, target, s, dx, dgain, scratch);
}
double one_row(const double* x, double gain, int64_t target, const LossRowSettings<double>& s, double* dx, double* dgain, double* scratch) {
  return loss_rows().row_f64(x, gain, target, s, dx, dgain, scratch);
}

// Rows are independent and summed in their order: the result does not depend on the number of threads.
// `dx`: dense, x itself, or undefined where no gradient is wanted. Positions that do not count get 0.
template <class T>
LossHeadInPlaceResult run(const Tensor& x, const std::optional<Tensor>& gain, const Tensor& targets, const LossHeadNumbers& n,
                          const Tensor& dx) {
  const int64_t B = x.size(0), L = x.size(1), V = x.size(2), last = n.last < 0 ? L : n.last, per_row = last - n.first, rows = B * per_row;
  if (dx.defined()) {
    dx.narrow(1, 0, n.first).zero_();
    dx.narrow(1, last, L - last).zero_();
  }
  const LossRowSettings<T> s{.vocab = V,
                             .norm_eps = static_cast<T>(n.norm_eps),
                             .softcap = static_cast<T>(n.softcap),
                             .inverse_softcap = static_cast<T>(n.softcap > 0 ? 1 / n.softcap : 0),
                             .z_loss = static_cast<T>(n.z_loss),
                             .smoothing = static_cast<T>(n.smoothing),
                             .weight = T(1) / static_cast<T>(rows)};
  const T g = gain ? *gain->const_data_ptr<T>() : T(1);
  const InRows<T> in(x, V, 0);
  const OutRows<T> out(dx, V, 1);
  const int64_t* y = targets.const_data_ptr<int64_t>();
  std::vector<double> losses(static_cast<size_t>(rows)), dgains(static_cast<size_t>(rows));
  at::parallel_for(0, rows, kRowsAtOnce, [&](int64_t begin, int64_t end) {
    std::vector<T> scratch(static_cast<size_t>(V));
    for (int64_t i = begin; i < end; ++i) {
      const int64_t position = i / per_row * L + n.first + i % per_row;
      TORCH_CHECK(y[position] >= 0 && y[position] < V, "[loss_head] target ", y[position], " is outside the vocabulary of ", V);
      T dgain = 0;
      losses[static_cast<size_t>(i)] =
          static_cast<double>(one_row(in(position), g, y[position], s, out.begin(position), &dgain, scratch.data()));
      out.end(position);
      dgains[static_cast<size_t>(i)] = static_cast<double>(dgain);
    }
  });
  const auto options = x.options().dtype(std::is_same_v<T, double> ? at::kDouble : at::kFloat);
  const auto number = [&](double value) {
    Tensor t = at::empty({}, options);
    *t.mutable_data_ptr<T>() = static_cast<T>(value);
    return t;
  };
  const double total = std::accumulate(losses.begin(), losses.end(), 0.0) / static_cast<double>(rows);
  return {number(total), gain ? number(std::accumulate(dgains.begin(), dgains.end(), 0.0)).view(gain->sizes()) : at::empty({0}, options)};
}

LossHeadInPlaceResult run_checked(const Tensor& x, const std::optional<Tensor>& gain, const Tensor& targets, const LossHeadNumbers& n,
                                  const Tensor& dx) {
  const int64_t end = n.last < 0 ? x.size(1) : n.last;
  TORCH_CHECK(n.first >= 0 && n.first < end && end <= x.size(1) && x.size(0) > 0, "[loss_head] positions [", n.first, ", ", end, ") of ",
              x.size(1));
  const Tensor ids = targets.contiguous();
  return x.scalar_type() == at::kDouble ? run<double>(x, gain, ids, n, dx) : run<float>(x, gain, ids, n, dx);
}

LossHeadResult loss_head_cpu(const Tensor& x, const std::optional<Tensor>& gain, const Tensor& targets, int64_t first, int64_t last,
                             double norm_eps, double softcap, double z_loss, double smoothing, bool with_gradient) {
  check_loss_head(x, gain, targets);
  const Tensor dense = x.contiguous(), dx = with_gradient ? at::empty_like(dense) : Tensor();
  auto [loss, dgain] = run_checked(dense, gain, targets, {first, last, norm_eps, softcap, z_loss, smoothing}, dx);
  return {loss, with_gradient ? dx : at::empty({0}, x.options()), dgain};
}

LossHeadInPlaceResult loss_head_in_place_cpu(const Tensor& x, const std::optional<Tensor>& gain, const Tensor& targets, int64_t first,
                                             int64_t last, double norm_eps, double softcap, double z_loss, double smoothing) {
  check_loss_head(x, gain, targets);
  const Tensor dense = x.contiguous();
  LossHeadInPlaceResult result = run_checked(dense, gain, targets, {first, last, norm_eps, softcap, z_loss, smoothing}, dense);
  if (!dense.is_same(x)) x.copy_(dense);
  return result;
}

}  // namespace

TORCH_LIBRARY_IMPL(assay, CPU, m) {
  m.impl("loss_head", loss_head_cpu);
  m.impl("loss_head_", loss_head_in_place_cpu);
}

}  // namespace assay::ops
