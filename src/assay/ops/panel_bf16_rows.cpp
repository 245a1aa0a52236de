// Compiled once for each instruction set (cmake/Simd.cmake).
#include "assay/ops/panel_bf16_rows.h"

#ifdef CPU_CAPABILITY_AVX512
#include <immintrin.h>
#endif

namespace assay::ops::ASSAY_CAPABILITY {
#ifdef CPU_CAPABILITY_AVX512
namespace {

constexpr int64_t kWidth = 16, kVectors = 4, kColumns = kWidth * kVectors;

__mmask16 first(int64_t count) { return count >= kWidth ? 0xFFFF : count <= 0 ? 0 : static_cast<__mmask16>((1U << count) - 1); }

// The bits of bfloat16, to nearest even, in the upper half of each number. A NaN stays one.
__m512i rounded(__m512 x) {
  const __m512i bits = _mm512_castps_si512(x), odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i up = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF)));
  return _mm512_mask_mov_epi32(up, _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), _mm512_set1_epi32(0x7FC00000));
}

void pack(const float* x, int64_t stride, int64_t keys, int64_t count, const float* factor, float* panel) {
  for (int64_t k = 0; k < keys; k += 2) {
    const bool both = k + 1 < keys;
    const __m512 a = _mm512_set1_ps(factor == nullptr ? 1 : factor[k]), b = _mm512_set1_ps(!both               ? 0
                                                                                           : factor == nullptr ? 1
                                                                                                               : factor[k + 1]);
    const float *low = x + k * stride, *high = both ? low + stride : low;
    for (int64_t j = 0; j < kColumns; j += kWidth) {
      const __mmask16 live = first(count - j);
      const __m512i pair = _mm512_mask_blend_epi16(0xAAAAAAAA, _mm512_srli_epi32(rounded(_mm512_maskz_loadu_ps(live, low + j) * a), 16),
                                                   rounded(_mm512_maskz_loadu_ps(both ? live : 0, high + j) * b));
      _mm512_storeu_si512(panel + k / 2 * kColumns + j, pair);
    }
  }
}

void round(const float* x, const float* columns, float factor, int64_t n, float* pairs) {
  const __m512 all = _mm512_set1_ps(factor);
  auto* to = reinterpret_cast<uint16_t*>(pairs);
  for (int64_t i = 0; i < n; i += kWidth) {
    const __mmask16 live = first(n - i);
    __m512 a = _mm512_maskz_loadu_ps(live, x + i) * all;
    if (columns != nullptr) a = a * _mm512_maskz_loadu_ps(live, columns + i);
    _mm256_mask_storeu_epi16(to + i, first(n + n % 2 - i), _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded(a), 16)));
  }
}

template <int64_t VECTORS>
__attribute__((target("avx512bf16"))) void tile(const LeftRows<float>& left, int64_t rows, const float* panel, int64_t keys, int64_t count,
                                                float* out, int64_t stride, bool add) {
  const float* from[kTileRows];  // rows beyond the last are the last again, and not written
  for (int64_t i = 0; i < kTileRows; ++i) from[i] = left.from + (i < rows ? i : rows - 1) * left.row;
  __m512 sums[kTileRows][VECTORS];
#pragma GCC unroll 6
  for (int64_t i = 0; i < kTileRows; ++i)
#pragma GCC unroll 4
    for (int64_t j = 0; j < VECTORS; ++j) sums[i][j] = _mm512_setzero_ps();
  for (int64_t k = 0, at = 0; k < keys; ++k, at += left.key) {
    __m512bh right[VECTORS];
#pragma GCC unroll 4
    for (int64_t j = 0; j < VECTORS; ++j) right[j] = (__m512bh)_mm512_loadu_ps(panel + k * kColumns + j * kWidth);
#pragma GCC unroll 6
    for (int64_t i = 0; i < kTileRows; ++i) {
      const __m512bh a = (__m512bh)_mm512_set1_ps(from[i][at]);
#pragma GCC unroll 4
      for (int64_t j = 0; j < VECTORS; ++j) sums[i][j] = _mm512_dpbf16_ps(sums[i][j], a, right[j]);
    }
  }
#pragma GCC unroll 6
  for (int64_t i = 0; i < kTileRows; ++i) {
    if (i >= rows) break;
#pragma GCC unroll 4
    for (int64_t j = 0; j < VECTORS; ++j) {
      const __mmask16 live = first(count - j * kWidth);
      float* to = out + i * stride + j * kWidth;
      _mm512_mask_storeu_ps(to, live, add ? _mm512_maskz_loadu_ps(live, to) + sums[i][j] : sums[i][j]);
    }
  }
}

void product(const LeftRows<float>& left, int64_t rows, const float* panel, int64_t keys, int64_t count, float* out, int64_t stride,
             bool add) {
  switch ((count + kWidth - 1) / kWidth) {
    case 1: return tile<1>(left, rows, panel, keys, count, out, stride, add);
    case 2: return tile<2>(left, rows, panel, keys, count, out, stride, add);
    case 3: return tile<3>(left, rows, panel, keys, count, out, stride, add);
    case 4: return tile<4>(left, rows, panel, keys, count, out, stride, add);
    default: return;
  }
}

}  // namespace

const Bf16Panels panel_bf16_rows{&product, &pack, &round};
#else
const Bf16Panels panel_bf16_rows{nullptr, nullptr, nullptr};
#endif

}  // namespace assay::ops::ASSAY_CAPABILITY
