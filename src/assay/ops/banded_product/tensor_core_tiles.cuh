#pragma once
// Products of 16 x 8 tiles with bfloat16 operands on tensor cores, and the copies that feed them; from sm_80 on.
#include <cuda_bf16.h>

#include <cstdint>

namespace assay::ops {

// Addresses within a block's shared memory are 32 bits wide, in bytes.
__device__ inline uint32_t shared_address(const void* p) { return static_cast<uint32_t>(__cvta_generic_to_shared(p)); }

// An address that is worked out once: the compiler would do so again before each use, to save a register.
__device__ inline uint32_t kept(uint32_t address) {
  asm volatile("" : "+r"(address));
  return address;
}

// 16 bytes to shared memory without passing through registers; zeros where the source is not `there`. Memory is read in lines of 128 bytes: neighbouring
// blocks want the rest of a line that a window begins or ends in.
__device__ inline void copy_16(uint32_t to, const void* from, bool there) {
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(there ? 16 : 0) : "memory");
}
__device__ inline void end_group() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int N>
__device__ inline void wait_groups() {  // until all but the last N groups have arrived
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

// Four 8 x 8 matrices; lane l gives the address of row l % 8 of matrix l / 8. Transposed: its columns are handed out as rows.
__device__ inline void load_matrices(uint32_t (&to)[4], uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(address)
               : "memory");
}
__device__ inline void load_transposed(uint32_t (&to)[4], uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(address)
               : "memory");
}

// sums[16, 8] += a[16, 16] b[16, 8]. Lane l holds of the sums rows l / 4 and l / 4 + 8, columns 2 (l % 4) and the next.
__device__ inline void multiply_add(float (&sums)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ inline uint32_t rounded_pair(float low, float high) {
  uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}

// One store of 16 bytes; an ordinary assignment may come out as four of 4.
__device__ inline void store_16(void* to, const uint32_t (&from)[4]) {
  asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(to), "r"(from[0]), "r"(from[1]), "r"(from[2]), "r"(from[3]) : "memory");
}

// Rows in shared memory are eight numbers longer than their content: eight of them begin in different banks.
inline constexpr int kRowPadding = 8;

// Copies tiles of ROWS x COLUMNS of a matrix [rows, width] to shared memory, with zeros for what lies outside. A thread has one column of eight numbers
// and every kEach-th row of each tile: what it needs for an address is worked out once.
template <int ROWS, int COLUMNS, int THREADS>
class TileCopy {
 public:
  static constexpr int kPitch = COLUMNS + kRowPadding;

  __device__ TileCopy(const void* matrix, int rows, int width)
      : row_(kept(threadIdx.x / kVectors)),
        column_(kept(threadIdx.x % kVectors * 8)),
        width_(width),
        rows_(rows - row_),
        from_(static_cast<const __nv_bfloat16*>(matrix) + int64_t{row_} * width + column_),
        to_(kept((row_ * kPitch + column_) * 2)) {}

  __device__ void operator()(uint32_t stage, int first_row, int first_column) const {
    if (kIdle && row_ >= kEach) return;
    const __nv_bfloat16* from = from_ + int64_t{first_row} * width_ + first_column;
    const int rows = first_column + column_ < width_ ? rows_ - first_row : 0;
#pragma unroll
    for (int r = 0; r < ROWS; r += kEach) {
      copy_16(stage + to_ + r * kPitch * 2, from, r < rows);
      from += kEach * width_;
    }
  }

 private:
  static constexpr int power_of_two(int most) {
    int p = 1;
    while (2 * p <= most) p *= 2;
    return p;
  }
  static constexpr int kVectors = COLUMNS / 8, kWanted = power_of_two(THREADS / kVectors), kEach = kWanted < ROWS ? kWanted : ROWS;
  static constexpr bool kIdle = kEach * kVectors < THREADS;
  static_assert(ROWS % kEach == 0);

  int row_, column_, width_;
  int rows_;  // from row_ on
  const __nv_bfloat16* from_;
  uint32_t to_;
};

}  // namespace assay::ops
