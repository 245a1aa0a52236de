// Sixty-four channels of a sequence at a time, position after position: their taps and the last positions stay in the nearest cache. The kernel is
// transposed to [kernel, V], in which channels are next to each other.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <algorithm>
#include <vector>

#include "assay/ops/causal_conv/causal_conv_op.h"
#include "assay/ops/causal_conv/causal_conv_rows.h"
#include "assay/ops/wide_rows.h"

namespace assay::ops {
namespace {

constexpr int64_t kChannels = 64, kPiece = 16;  // positions that add up in the sequence's own type, their sums in double

const CausalConvRow<float>& rows(float) { return causal_conv_rows().f32; }
const CausalConvRow<double>& rows(double) { return causal_conv_rows().f64; }

struct Sizes {
  int64_t B, T, V, K;
  Sizes(const Tensor& z, const Tensor& w_KV) : B(z.size(0)), T(z.size(1)), V(z.size(2)), K(w_KV.size(0)) {}
  int64_t blocks() const { return (V + kChannels - 1) / kChannels; }
};

// work(sequence, first channel, channels), in parallel.
template <class F>
void for_blocks(const Sizes& s, const F& work) {
  at::parallel_for(0, s.B * s.blocks(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t first = task % s.blocks() * kChannels;
      work(task / s.blocks(), first, std::min(kChannels, s.V - first));
    }
  });
}

// Channels [first, first + n) of all positions of a sequence, as the row kernels read them: where they lie, or (bfloat16) widened into the thread's
// memory.
template <class T>
struct Channels {
  const T* at;
  int64_t stride;
};
template <class T>
Channels<T> channels(const Tensor& z, const Sizes& s, int64_t sequence, int64_t first, int64_t n, size_t slot) {
  const int64_t start = sequence * s.T * s.V + first;
  if constexpr (std::is_same_v<T, float>) {
    if (z.scalar_type() == at::kBFloat16) {
      float* wide = row_memory<float>(slot, s.T * kChannels);
      for (int64_t t = 0; t < s.T; ++t) bf16_rows().widen(bits_of(z) + start + t * s.V, n, wide + t * kChannels);
      return {wide, kChannels};
    }
  }
  return {z.const_data_ptr<T>() + start, s.V};
}

// Writes n numbers at `offset`, which `make` puts where it is told.
template <class T, class Make>
void put(const Tensor& to, int64_t offset, int64_t n, const Make& make) {
  if constexpr (std::is_same_v<T, float>) {
    if (to.scalar_type() == at::kBFloat16) {
      float* wide = row_memory<float>(2, kChannels);
      make(wide);
      return bf16_rows().narrow(wide, n, mutable_bits_of(to) + offset);
    }
  }
  make(to.mutable_data_ptr<T>() + offset);
}

template <class T>
Tensor forward(const Tensor& z, const Tensor& w_KV, const Tensor& bias) {
  const Sizes s(z, w_KV);
  const Tensor y = at::empty_like(z);
  const T *w = w_KV.const_data_ptr<T>(), *b = bias.const_data_ptr<T>();
  for_blocks(s, [&](int64_t sequence, int64_t first, int64_t n) {
    const Channels<T> in = channels<T>(z, s, sequence, first, n, 0);
    for (int64_t t = 0; t < s.T; ++t) {
      const int64_t skipped = std::max<int64_t>(0, s.K - 1 - t);  // taps before the beginning
      put<T>(y, (sequence * s.T + t) * s.V + first, n, [&](T* out) {
        rows(T()).forward(out, b + first, w + skipped * s.V + first, s.V, in.at + (t - (s.K - 1) + skipped) * in.stride, in.stride,
                          s.K - skipped, n);
      });
    }
  });
  return y;
}

template <class T>
CausalConvGrads backward(const Tensor& g, const Tensor& z, const Tensor& w_KV) {
  const Sizes s(z, w_KV);
  const Tensor dz = at::empty_like(z), dw_KV = at::empty_like(w_KV), db = at::empty({s.V}, w_KV.options());
  const T* w = w_KV.const_data_ptr<T>();
  T *dw = dw_KV.mutable_data_ptr<T>(), *dbias = db.mutable_data_ptr<T>();
  std::vector<double> sums(static_cast<size_t>(s.B * (s.K + 1) * s.V), 0.0);  // of each sequence: dw, then db
  for_blocks(s, [&](int64_t sequence, int64_t first, int64_t n) {
    double* of_sequence = sums.data() + sequence * (s.K + 1) * s.V + first;
    T* of_piece = row_memory<T>(3, (s.K + 1) * kChannels);
    std::fill_n(of_piece, (s.K + 1) * kChannels, T(0));
    const Channels<T> up = channels<T>(g, s, sequence, first, n, 0), in = channels<T>(z, s, sequence, first, n, 1);
    for (int64_t t = 0; t < s.T; ++t) {
      const int64_t skipped = std::max<int64_t>(0, s.K - 1 - t), taps = std::min(s.K, s.T - t);
      const T* here = up.at + t * up.stride;
      put<T>(dz, (sequence * s.T + t) * s.V + first, n, [&](T* out) {
        rows(T()).forward(out, nullptr, w + (s.K - 1) * s.V + first, -s.V, here, up.stride, taps, n);  // w_{K-1-i} g_{t+i}
      });
      rows(T()).weights(here, in.at + (t - (s.K - 1) + skipped) * in.stride, in.stride, s.K - skipped, n, of_piece + skipped * kChannels,
                        kChannels, of_piece + s.K * kChannels);
      if ((t + 1) % kPiece != 0 && t + 1 < s.T) continue;
      for (int64_t j = 0; j <= s.K; ++j)
        for (int64_t i = 0; i < n; ++i) of_sequence[j * s.V + i] += static_cast<double>(of_piece[j * kChannels + i]);
      std::fill_n(of_piece, (s.K + 1) * kChannels, T(0));
    }
  });
  const int64_t wide = s.K * s.V;
  for (int64_t i = 0; i < wide + s.V; ++i) {
    double total = 0;
    for (int64_t sequence = 0; sequence < s.B; ++sequence) total += sums[static_cast<size_t>(sequence * (wide + s.V) + i)];
    (i < wide ? dw[i] : dbias[i - wide]) = static_cast<T>(total);
  }
  return {dz, dw_KV.t().unsqueeze(1).contiguous(), db};
}

Tensor taps_of(const Tensor& weight) { return weight.squeeze(1).t().contiguous(); }

Tensor causal_conv_cpu(const Tensor& z, const Tensor& weight, const Tensor& bias) {
  check_causal_conv(z, weight, bias);
  if (z.scalar_type() == at::kDouble) return forward<double>(z.contiguous(), taps_of(weight), bias.contiguous());
  return forward<float>(z.contiguous(), taps_of(weight), bias.contiguous());
}

CausalConvGrads causal_conv_backward_cpu(const Tensor& g, const Tensor& z, const Tensor& weight) {
  if (z.scalar_type() == at::kDouble) return backward<double>(g.contiguous(), z.contiguous(), taps_of(weight));
  return backward<float>(g.contiguous(), z.contiguous(), taps_of(weight));
}

}  // namespace

TORCH_LIBRARY_IMPL(assay, CPU, m) {
  m.impl("causal_conv", causal_conv_cpu);
  m.impl("causal_conv_backward", causal_conv_backward_cpu);
}

}  // namespace assay::ops
