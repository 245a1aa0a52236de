#pragma once
#include "assay/tensor/aten.h"

namespace assay::ops {

// An update whose every changing number lives in device memory, so that it can be captured in a CUDA graph and replayed. The numbers are
// one float64 tensor, `control`, [kControls] on the parameters' device:
struct Control {
  enum Slot : int64_t {
    rate,         // in: learning rate of this update, after the schedule
    clip,         // in: largest global norm; 0 = no clipping
    patience,     // in: updates in a row that may be skipped for a value that is not finite; after one more everything halts
    updates,      // updates done (bias correction); counts only those that were applied
    index,        // calls so far, skipped ones included: the row of the log
    skips,        // skipped in a row
    halted,       // 1 after more than `patience` skips in a row: weights, moments and `updates` do not move any more
    applied,      // out: 1 where this update is applied
    norm,         // out: global L2 norm before clipping
    scale,        // out: factor on the gradient
    correction1,  // out: 1 - beta1^updates
    correction2,  // out: sqrt(1 - beta2^updates)
    count
  };
};

// Decides an update: norm of `grads`, whether it and `loss` (float32 or float64, one element) are finite, clipping factor
// min(1, clip / (norm + 1e-6)) [vocab-space 5.2], bias corrections [Kingma & Ba 2015, algorithm 1]. Appends the row (loss, norm, applied,
// halted) to `log` [rows, 4] float64, at control[index] mod rows. The order of summation depends on the size alone.
void decide_update_(const Tensor& grads, const Tensor& loss, const Tensor& control, const Tensor& log, double beta1, double beta2);

// The flat buffer in pieces, each within one parameter group: float64 [n, 4] on the CPU, rows (begin, end, factor on the rate, weight decay);
// begin and end in elements. `adam_chunks` splits groups into pieces of at most kAdamChunk elements, the unit of a thread block.
inline constexpr int64_t kAdamChunk = 8192;
struct AdamGroup {
  int64_t begin = 0, end = 0;
  double rate_scale = 1, weight_decay = 0;
};
Tensor adam_chunks(const std::vector<AdamGroup>& groups, const at::Device& device);

// Adam as decided by `control`, in one pass over flat float32 or float64 buffers of equal size: with g = scale * grad (+ wd p where coupled),
//   p <- p (1 - lr wd) where decoupled [Loshchilov & Hutter 2019];  m <- b1 m + (1-b1) g;  v <- b2 v + (1-b2) g^2
//   p <- p - lr/correction1 * m / (sqrt(v)/correction2 + eps)
// Nothing changes where control[applied] is 0. `shadow`, where defined, is a bfloat16 buffer of the same size that receives the new weights
// rounded to nearest even. `grads` is not changed.
struct AdamSettings {
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  bool decoupled = false;
};
void adam_(const Tensor& values, const Tensor& grads, const Tensor& first, const Tensor& second, const Tensor& shadow,
           const Tensor& control, const Tensor& chunks, const AdamSettings& settings);

// The obviously right form, on any device, for comparison: one update of float64 tensors by ATen, host numbers.
void adam_reference_(const Tensor& values, const Tensor& grads, const Tensor& first, const Tensor& second, double lr, double weight_decay,
                     double scale, int64_t updates, const AdamSettings& settings);

}  // namespace assay::ops
