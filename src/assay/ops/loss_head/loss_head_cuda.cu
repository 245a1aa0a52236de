// Three forms of one row: up to 1024 wide it lives in the registers of a warp; wider, a block walks it in shared memory while the next row is on its
// way; where two rows do not fit, in shared memory alone or in device memory. x is read once from device memory (more often only where it does
// not fit) and dx written once. PLAIN: no norm, gain or softcap, so that the logits are x itself.
#include "assay/ops/loss_head/block_rows.cuh"
#include "assay/ops/loss_head/streamed_rows.cuh"
#include "assay/ops/loss_head/warp_rows.cuh"

namespace assay::ops {
namespace {

using namespace loss_rows;

// Sums of the rows in a fixed order.
template <class T>
__global__ void __launch_bounds__(kBlock) finish(LossHeadArguments a, int64_t rows) {
  double loss = 0, dgain = 0;
#pragma unroll 8
  for (int64_t i = threadIdx.x; i < rows; i += kBlock) {
    loss += a.row_loss[i];
    if (a.dgain != nullptr) dgain += a.row_dgain[i];
  }
  loss = block_all(loss, Plus());
  dgain = block_all(dgain, Plus());
  if (threadIdx.x != 0) return;
  *static_cast<T*>(a.loss) = static_cast<T>(loss / static_cast<double>(rows));
  if (a.dgain != nullptr) *static_cast<T*>(a.dgain) = static_cast<T>(dgain);
}

bool is_plain(const LossHeadArguments& a) { return a.norm_eps < 0 && a.gain == nullptr && !(a.softcap > 0); }

template <class In, int PER, int W, bool PLAIN>
void launch_warps(const LossHeadArguments& a, int64_t rows) {
  const auto blocks = static_cast<unsigned>((rows + kWarpsPerBlock - 1) / kWarpsPerBlock);
  if (W > 1 && a.vocab == PER * kWarp) warp_rows<In, PER, W, W != 1, PLAIN><<<blocks, kWarp * kWarpsPerBlock, 0, a.stream>>>(a);
  else warp_rows<In, PER, W, false, PLAIN><<<blocks, kWarp * kWarpsPerBlock, 0, a.stream>>>(a);
}

template <class In, int W, bool PLAIN>
bool warps_by_width(const LossHeadArguments& a, int64_t rows) {
  if (a.vocab <= 256) launch_warps<In, 8, W, PLAIN>(a, rows);
  else if (a.vocab <= 1024) launch_warps<In, 32, W, PLAIN>(a, rows);
  else return false;
  return true;
}

template <class In, bool PLAIN>
bool launch_rows_of_warps(const LossHeadArguments& a, int64_t rows, bool aligned) {
  constexpr int kWide = 16 / sizeof(In);
  return aligned && a.vocab % kWide == 0 && a.stride % kWide == 0 ? warps_by_width<In, kWide, PLAIN>(a, rows)
                                                                  : warps_by_width<In, 1, PLAIN>(a, rows);
}

int of_device(cudaDeviceAttr what) {
  int device = 0, value = 0;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&value, what, device);
  return value;
}

// As many blocks as the device holds at once, each with two rows in its shared memory; false where two do not fit.
template <class In, bool PLAIN, int THREADS>
bool launch_streamed(const LossHeadArguments& a, int64_t rows, cudaError_t& error) {
  constexpr int kPack = 16 / sizeof(In);
  constexpr int kLatest = kLine / sizeof(In) - 1;  // a row may begin anywhere in its first line
  const int64_t capacity = (a.vocab + kLatest + kPack - 1) / kPack, bytes = 2 * capacity * 16;
  if (bytes + 2048 > of_device(cudaDevAttrMaxSharedMemoryPerBlockOptin)) return false;
  const auto kernel = streamed_rows<In, PLAIN, THREADS>;
  error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
  if (error != cudaSuccess) return true;
  int resident = 0;
  error = cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, kernel, THREADS, static_cast<size_t>(bytes));
  if (error != cudaSuccess || resident < 1) return error != cudaSuccess;
  const int64_t most = int64_t{resident} * of_device(cudaDevAttrMultiProcessorCount);
  kernel<<<static_cast<unsigned>(rows < most ? rows : most), THREADS, static_cast<size_t>(bytes), a.stream>>>(a,
                                                                                                              static_cast<int>(capacity));
  return true;
}

template <class In, bool PLAIN>
bool launch_streamed_rows(const LossHeadArguments& a, int64_t rows, cudaError_t& error) {
  const bool few = a.vocab * static_cast<int64_t>(sizeof(In)) <= 32768;  // packs for 256 threads
  return few ? launch_streamed<In, PLAIN, 256>(a, rows, error) : launch_streamed<In, PLAIN, kBlock>(a, rows, error);
}

// A row a block: staged in shared memory where it fits.
template <class In>
cudaError_t launch_rows_of_blocks(const LossHeadArguments& a, int64_t rows) {
  const size_t bytes = static_cast<size_t>(a.vocab) * sizeof(In) + 16;
  if (bytes + 1024 > static_cast<size_t>(of_device(cudaDevAttrMaxSharedMemoryPerBlockOptin))) {
    block_rows<In, false><<<static_cast<unsigned>(rows), kBlock, 0, a.stream>>>(a);
    return cudaSuccess;
  }
  if (const cudaError_t e =
          cudaFuncSetAttribute(block_rows<In, true>, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)))
    return e;
  block_rows<In, true><<<static_cast<unsigned>(rows), kBlock, bytes, a.stream>>>(a);
  return cudaSuccess;
}

template <class In>
cudaError_t launch(const LossHeadArguments& a) {
  const int64_t rows = a.batch * (a.last - a.first);
  const bool aligned = reinterpret_cast<uintptr_t>(a.x) % 16 == 0 && (a.dx == nullptr || reinterpret_cast<uintptr_t>(a.dx) % 16 == 0);
  bool done = false;
  cudaError_t error = cudaSuccess;
  // float64 serves comparisons, not speed: one form is enough.
  if constexpr (sizeof(In) < sizeof(double)) {
    done = is_plain(a) ? launch_rows_of_warps<In, true>(a, rows, aligned) : launch_rows_of_warps<In, false>(a, rows, aligned);
    if (!done && aligned)
      done = is_plain(a) ? launch_streamed_rows<In, true>(a, rows, error) : launch_streamed_rows<In, false>(a, rows, error);
  }
  if (!done) error = aligned ? launch_rows_of_blocks<In>(a, rows) : cudaErrorMisalignedAddress;
  if (error != cudaSuccess) return error;
  finish<typename Inside<In>::type><<<1, kBlock, 0, a.stream>>>(a, rows);
  return cudaGetLastError();
}

}  // namespace

cudaError_t loss_head(const LossHeadArguments& a, LossType type) {
  switch (type) {
    case LossType::f64: return launch<double>(a);
    case LossType::bf16: return launch<__nv_bfloat16>(a);
    case LossType::f32: break;
  }
  return launch<float>(a);
}

}  // namespace assay::ops
