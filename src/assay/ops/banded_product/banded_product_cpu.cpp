// Blocks of neighbouring channels of the wide side: what a block sees of the narrow side is a short interval, so that each block is one
// small dense product and what lies outside of all blocks is never touched.
#include <ATen/Parallel.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <algorithm>

#include "assay/ops/banded_product/band_blocks.h"
#include "assay/ops/banded_product/banded_product.h"
#include "assay/ops/head_tasks.h"
#include "assay/tensor/tiles.h"

namespace assay::ops {
namespace {

using tensor::Precision;
using tensor::product_into;

constexpr int64_t kTokens = 256;  // rows of x at a time: what a block reads and writes of them stays in the second-level cache
// Rows of 4 KB begin in the same few sets of a cache; 16 numbers more spread them. One Zen 3 core, C = 1024, b = 256: 36 in place of 25
// GFLOP/s.
constexpr int64_t kPad = 16;

// f(entries of the packed row, entries of the tile's row, how many) for every row of the block.
template <class F>
void for_each_row(const Band& band, const std::vector<int64_t>& offsets, const BandBlock& b, F f) {
  for (int64_t j = b.row; j < b.row + b.rows; ++j) {
    const Band::Interval all = band.row(j);
    const int64_t first = std::max(all.first, b.column), end = std::min(all.end, b.column + b.columns);
    if (first < end) f(offsets[static_cast<size_t>(j)] + first - all.first, (j - b.row) * b.columns + first - b.column, end - first);
  }
}

// The blocks as small dense matrices, zero outside of the band.
template <class T>
std::vector<Tensor> tiles_of(const Band& band, const std::vector<BandBlock>& blocks, const Tensor& values) {
  const std::vector<int64_t> offsets = band.offsets();
  const T* packed = values.const_data_ptr<T>();
  std::vector<Tensor> tiles;
  for (const BandBlock& b : blocks) {
    tiles.push_back(at::zeros({b.rows, b.columns}, values.options()));
    T* tile = tiles.back().mutable_data_ptr<T>();
    for_each_row(band, offsets, b, [&](int64_t from, int64_t to, int64_t n) { std::copy_n(packed + from, n, tile + to); });
  }
  return tiles;
}

// work(first row, rows) for pieces [begin, end) of N rows.
int64_t pieces_of(int64_t N) { return (N + kTokens - 1) / kTokens; }
template <class Work>
void for_each_piece(int64_t N, int64_t begin, int64_t end, const Work& work) {
  for (int64_t i = begin; i < end; ++i) work(i * kTokens, std::min(kTokens, N - i * kTokens));
}

Tensor padded(int64_t rows, int64_t n, const at::TensorOptions& options) { return at::empty({rows, n + kPad}, options).narrow(1, 0, n); }

// y = x W^T, or with `turned` y = x W, through the blocks. Where y is on the wide side each block has columns of its own, else they add up.
Tensor through_blocks(const Tensor& x, const Band& band, const std::vector<BandBlock>& blocks, const std::vector<Tensor>& tiles,
                      bool turned, Precision p) {
  const int64_t N = x.size(0), width = turned ? band.in : band.out;
  const bool wide = turned ? band.in > band.out : band.out >= band.in;
  int64_t covered = 0;
  for (const BandBlock& b : blocks) covered += turned ? b.columns : b.rows;
  const bool clear = !wide || covered < width;
  const Tensor y = at::empty({N, width}, x.options());
  in_parallel(pieces_of(N), [&](int64_t begin, int64_t end) {
    // The narrow side, of which neighbouring blocks share columns, as a padded copy of a piece.
    const Tensor narrow = padded(std::min(kTokens, N), wide ? x.size(1) : width, x.options());
    for_each_piece(N, begin, end, [&](int64_t first, int64_t n) {
      const Tensor x_n = wide ? narrow.narrow(0, 0, n) : x.narrow(0, first, n), y_n = y.narrow(0, first, n);
      const Tensor to = wide ? y_n : narrow.narrow(0, 0, n);
      if (wide) x_n.copy_(x.narrow(0, first, n));
      if (clear) to.zero_();
      for (size_t k = 0; k < blocks.size(); ++k) {
        const BandBlock& b = blocks[k];
        if (turned) product_into(to.narrow(1, b.column, b.columns), x_n.narrow(1, b.row, b.rows), tiles[k], p, !wide);
        else product_into(to.narrow(1, b.row, b.rows), x_n.narrow(1, b.column, b.columns), tiles[k].t(), p, !wide);
      }
      if (!wide) y_n.copy_(to);
    });
  });
  return y;
}

// dW[j, i] = sum_n g[n, j] x[n, i]: pieces of rows outside, so that their pages are looked up once for all blocks. A product reads its
// left operand by columns: what it takes of the wide side is copied together first.
template <class T>
Tensor weight_gradient(const Tensor& g, const Tensor& x, const Band& band, const std::vector<BandBlock>& blocks, Precision p) {
  const std::vector<int64_t> offsets = band.offsets();
  const Tensor dvalues = at::empty({band.count()}, x.options());
  T* packed = dvalues.mutable_data_ptr<T>();
  in_parallel(static_cast<int64_t>(blocks.size()), [&](int64_t begin, int64_t end) {
    std::vector<Tensor> sums;
    for (int64_t k = begin; k < end; ++k) {
      const BandBlock& b = blocks[static_cast<size_t>(k)];
      sums.push_back(at::zeros({b.rows, b.columns}, x.options()));
    }
    const bool rows_wide = band.out >= band.in;
    const Tensor narrow = padded(std::min(kTokens, x.size(0)), std::min(band.in, band.out), x.options());
    const Tensor memory = at::empty({std::min(kTokens, x.size(0)) * kBlockWidth}, x.options());
    for_each_piece(x.size(0), 0, pieces_of(x.size(0)), [&](int64_t first, int64_t n) {
      const Tensor narrow_n = narrow.narrow(0, 0, n), wide_n = (rows_wide ? g : x).narrow(0, first, n);
      narrow_n.copy_((rows_wide ? x : g).narrow(0, first, n));
      for (int64_t k = begin; k < end; ++k) {
        const BandBlock& b = blocks[static_cast<size_t>(k)];
        const int64_t from = rows_wide ? b.row : b.column, width = rows_wide ? b.rows : b.columns;
        const Tensor own = memory.narrow(0, 0, n * width).view({n, width});
        own.copy_(wide_n.narrow(1, from, width));
        const Tensor& sum = sums[static_cast<size_t>(k - begin)];
        if (rows_wide) product_into(sum, own.t(), narrow_n.narrow(1, b.column, b.columns), p, true);
        else product_into(sum, narrow_n.narrow(1, b.row, b.rows).t(), own, p, true);
      }
    });
    for (int64_t k = begin; k < end; ++k) {
      const T* tile = sums[static_cast<size_t>(k - begin)].const_data_ptr<T>();
      for_each_row(band, offsets, blocks[static_cast<size_t>(k)],
                   [&](int64_t to, int64_t from, int64_t n) { std::copy_n(tile + from, n, packed + to); });
    }
  });
  return dvalues;
}

// Operands rounded to bf16 once where the processor multiplies them in float32 anyway: every block would round its part again.
struct Operand {
  Precision precision;
  explicit Operand(bool bf16)
      : precision(bf16 && tensor::product_choice().native_bf16 ? Precision::bf16 : Precision::fp32), rounds_(bf16) {}
  Tensor operator()(const Tensor& t) const {
    const Tensor dense = t.contiguous();
    return rounds_ && precision == Precision::fp32 && t.scalar_type() == at::kFloat ? dense.to(at::kBFloat16).to(at::kFloat) : dense;
  }

 private:
  bool rounds_;
};

std::vector<Tensor> tiles_of(const Band& band, const std::vector<BandBlock>& blocks, const Tensor& values) {
  return values.scalar_type() == at::kDouble ? tiles_of<double>(band, blocks, values) : tiles_of<float>(band, blocks, values);
}

Tensor banded_product_cpu(const Tensor& x, const Tensor& values, int64_t out, int64_t bandwidth, bool bf16) {
  check_banded_product(x, values, out, bandwidth);
  const Band band{out, x.size(1), bandwidth};
  const Operand operand(bf16);
  const std::vector<BandBlock> blocks = band_blocks(band);
  return through_blocks(operand(x), band, blocks, tiles_of(band, blocks, operand(values)), false, operand.precision);
}

BandedProductGrads banded_product_backward_cpu(const Tensor& grad, const Tensor& x, const Tensor& values, int64_t out, int64_t bandwidth,
                                               bool bf16) {
  check_banded_product(x, values, out, bandwidth);
  check_banded_gradient(grad, x, out);
  const Band band{out, x.size(1), bandwidth};
  const Operand operand(bf16);
  const std::vector<BandBlock> blocks = band_blocks(band);
  const Tensor g = operand(grad), in = operand(x);
  const Tensor dx = through_blocks(g, band, blocks, tiles_of(band, blocks, operand(values)), true, operand.precision);
  const auto gradient = x.scalar_type() == at::kDouble ? &weight_gradient<double> : &weight_gradient<float>;
  return {dx, gradient(g, in, band, blocks, operand.precision)};
}

}  // namespace

TORCH_LIBRARY_IMPL(assay, CPU, m) {
  m.impl("banded_product", banded_product_cpu);
  m.impl("banded_product_backward", banded_product_backward_cpu);
}

}  // namespace assay::ops
