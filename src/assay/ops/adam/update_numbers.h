#pragma once
// What the CPU and the CUDA form of an update share: the decision from the sum of squares, and one element. No torch header.
#include <cmath>
#include <cstdint>

#ifdef __CUDACC__
#define ASSAY_BOTH __host__ __device__ __forceinline__
#else
#define ASSAY_BOTH inline
#endif

namespace assay::ops {

// Slots as ops::Control::Slot.
struct ControlSlots {
  double rate, clip, patience, updates, index, skips, halted, applied, norm, scale, correction1, correction2;
};

#ifndef __CUDACC__
using std::isfinite, std::pow, std::sqrt;  // nvcc has them at global scope for the device
#endif

ASSAY_BOTH void decide(ControlSlots& c, double square_sum, double loss, double* log, int64_t log_rows, double beta1, double beta2) {
  const double norm = sqrt(square_sum);
  const bool finite = isfinite(norm) && isfinite(loss);
  const bool halted = c.halted != 0, applied = finite && !halted;
  double* row = log + 4 * (static_cast<int64_t>(c.index) % log_rows);
  row[0] = loss;
  row[1] = norm;
  row[2] = applied ? 1 : 0;
  c.index += 1;
  c.norm = norm;
  c.applied = applied ? 1 : 0;
  if (!halted && !finite) {
    c.skips += 1;
    if (c.skips > c.patience) c.halted = 1;
  }
  row[3] = c.halted;
  if (!applied) return;
  c.skips = 0;
  c.updates += 1;
  const double scale = c.clip > 0 ? c.clip / (norm + 1e-6) : 1;
  c.scale = scale < 1 ? scale : 1;
  c.correction1 = 1 - pow(beta1, c.updates);
  c.correction2 = sqrt(1 - pow(beta2, c.updates));
}

// The numbers of one chunk in the buffers' own precision.
template <class T>
struct ChunkNumbers {
  T scale, decay, keep, beta1, beta2, rest1, rest2, step, inverse_correction2, eps;
};

template <class T>
ASSAY_BOTH ChunkNumbers<T> chunk_numbers(const ControlSlots& c, double rate_scale, double weight_decay, double beta1, double beta2,
                                         double eps, bool decoupled) {
  const double lr = c.rate * rate_scale;
  ChunkNumbers<T> n;
  n.scale = static_cast<T>(c.scale);
  n.decay = static_cast<T>(decoupled ? 0 : weight_decay);
  n.keep = static_cast<T>(decoupled ? 1 - lr * weight_decay : 1);
  n.beta1 = static_cast<T>(beta1);
  n.beta2 = static_cast<T>(beta2);
  n.rest1 = static_cast<T>(1 - beta1);
  n.rest2 = static_cast<T>(1 - beta2);
  n.step = static_cast<T>(lr / c.correction1);
  n.inverse_correction2 = static_cast<T>(1 / c.correction2);
  n.eps = static_cast<T>(eps);
  return n;
}

template <class T>
ASSAY_BOTH void adam_element(T& p, T g, T& m, T& v, const ChunkNumbers<T>& n) {
  g = g * n.scale + n.decay * p;
  m = n.beta1 * m + n.rest1 * g;
  v = n.beta2 * v + n.rest2 * g * g;
  p = p * n.keep - n.step * (m / (sqrt(v) * n.inverse_correction2 + n.eps));
}

}  // namespace assay::ops
