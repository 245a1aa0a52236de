// Packed weights in the order in which product_tiles.cuh reads them: packed[group][position][window + padding], k counted from the group's window_begin,
// zeros outside of the band.
#include "assay/ops/banded_product/product_tiles.cuh"

namespace assay::ops {
namespace {

constexpr int kThreads = 256, kColumns = 64, kEach = kGroup * kColumns / kThreads;

template <bool TRANSPOSED>
__global__ void __launch_bounds__(kThreads) pack_kernel(BandedProductArguments a) {
  __shared__ float tile[kGroup][kColumns + 1];
  const int first = blockIdx.x * kGroup, k_first = blockIdx.y * kColumns, window = static_cast<int>(a.window);
  const int begin = first < a.out ? window_begin(a.outputs[first]) : 0;
  int4 rows[kEach];
  float w[kEach];
  const auto place = [&](int e, int& o, int& k) {  // neighbouring threads read neighbouring weights
    const int at = e * kThreads + threadIdx.x;
    o = TRANSPOSED ? at % kGroup : at / kColumns;
    k = TRANSPOSED ? at / kGroup : at % kColumns;
  };
#pragma unroll
  for (int e = 0; e < kEach; ++e) {  // all rows are asked for before the first weight
    int o, k;
    place(e, o, k);
    const int output = first + o, input = begin + k_first + k;
    rows[e] = make_int4(0, 0, 0, 0);
    if (output < a.out && input < a.inputs && k_first + k < window)
      rows[e] = __ldg(reinterpret_cast<const int4*>(a.rows + (TRANSPOSED ? input : output)));
  }
#pragma unroll
  for (int e = 0; e < kEach; ++e) {
    int o, k;
    place(e, o, k);
    const int i = TRANSPOSED ? first + o : begin + k_first + k;
    w[e] = i >= rows[e].x && i < rows[e].y ? __ldg(a.values + rows[e].z + i) : 0.0f;
  }
#pragma unroll
  for (int e = 0; e < kEach; ++e) {
    int o, k;
    place(e, o, k);
    tile[position(o)][k] = w[e];
  }
  __syncthreads();
  const int pitch = window + kRowPadding;
  __nv_bfloat162* to = static_cast<__nv_bfloat162*>(a.packed);
  for (int e = threadIdx.x; e < kGroup * kColumns / 2; e += kThreads) {
    const int row = e / (kColumns / 2), k = e % (kColumns / 2) * 2;
    if (k_first + k < pitch)
      to[((int64_t{blockIdx.x} * kGroup + row) * pitch + k_first + k) / 2] = __floats2bfloat162_rn(tile[row][k], tile[row][k + 1]);
  }
}

// More than whole tiles of any kernel, so that a block need not ask where its last group ends.
int64_t packed_rows(int64_t outputs) {
  constexpr int64_t kWidest = 256;
  return (outputs + kWidest - 1) / kWidest * kWidest;
}

}  // namespace

int64_t packed_weights(int64_t outputs, int64_t window) { return packed_rows(outputs) * (window + kRowPadding); }

cudaError_t pack_weights(const BandedProductArguments& a) {
  const dim3 grid(static_cast<unsigned>(packed_rows(a.out) / kGroup),
                  static_cast<unsigned>((a.window + kRowPadding + kColumns - 1) / kColumns));
  if (a.transposed) pack_kernel<true><<<grid, kThreads, 0, a.stream>>>(a);
  else pack_kernel<false><<<grid, kThreads, 0, a.stream>>>(a);
  return cudaGetLastError();
}

}  // namespace assay::ops
