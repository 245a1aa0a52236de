// Blocks of neighbouring rows: the columns that a block's rows see together are few, so that each block is one small dense product and
// what lies outside of all blocks is never touched.
#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <algorithm>

#include "assay/ops/banded_product/banded_product.h"
#include "assay/tensor/product.h"

namespace assay::ops {
namespace {

using tensor::Precision;
using tensor::raw_product;

constexpr int64_t kWideRows = 64;  // rows of a block where rows are the wide side: r = wide/narrow of them share a column
constexpr int64_t kTokens = 512;   // rows of x at a time: a block's piece of the result stays in the second-level cache

struct Block {
  int64_t row = 0, rows = 0, column = 0, columns = 0;  // W[row .. row + rows, column .. column + columns]
};

// Rows of a block cost columns that only some of them see: 64 rows of the wide side make 64/r of them, so rows of the narrow side are fewer.
int64_t block_rows(const Band& band) {
  const int64_t ratio = std::max<int64_t>(1, band.in / band.out);
  return std::max<int64_t>(16, kWideRows / ratio);
}

std::vector<Block> blocks_of(const Band& band) {
  std::vector<Block> blocks;
  const int64_t step = block_rows(band);
  for (int64_t row = 0; row < band.out; row += step) {
    Block b{row, std::min(step, band.out - row), band.in, 0};
    int64_t end = 0;
    for (int64_t j = row; j < row + b.rows; ++j) {
      const Band::Interval interval = band.row(j);
      if (interval.size() == 0) continue;
      b.column = std::min(b.column, interval.first);
      end = std::max(end, interval.end);
    }
    if (end == 0) continue;  // no entry in any of its rows
    b.columns = end - b.column;
    blocks.push_back(b);
  }
  return blocks;
}

// f(entries of the packed row, entries of the tile's row, how many) for every row of the block.
template <class F>
void for_each_row(const Band& band, const std::vector<int64_t>& offsets, const Block& b, F f) {
  for (int64_t j = b.row; j < b.row + b.rows; ++j) {
    const Band::Interval interval = band.row(j);
    if (interval.size() > 0) f(offsets[static_cast<size_t>(j)], (j - b.row) * b.columns + interval.first - b.column, interval.size());
  }
}

// The blocks as small dense matrices, zero outside of the band.
template <class T>
std::vector<Tensor> tiles_of(const Band& band, const std::vector<Block>& blocks, const Tensor& values) {
  const std::vector<int64_t> offsets = band.offsets();
  const T* packed = values.const_data_ptr<T>();
  std::vector<Tensor> tiles;
  for (const Block& b : blocks) {
    tiles.push_back(at::zeros({b.rows, b.columns}, values.options()));
    T* tile = tiles.back().mutable_data_ptr<T>();
    for_each_row(band, offsets, b, [&](int64_t from, int64_t to, int64_t n) { std::copy_n(packed + from, n, tile + to); });
  }
  return tiles;
}

// Tasks do not share results, so these do not depend on the number of threads.
template <class Work>
void in_parallel(int64_t tasks, const Work& work) {
  at::parallel_for(0, tasks, 1, [&](int64_t begin, int64_t end) {
    const at::NoGradGuard no_grad;
    const at::AutoDispatchBelowADInplaceOrView below_autograd;  // worker threads do not inherit either
    for (int64_t i = begin; i < end; ++i) work(i);
  });
}

// work(first row, rows) for pieces of x.
template <class Work>
void for_each_piece(int64_t N, const Work& work) {
  in_parallel((N + kTokens - 1) / kTokens, [&](int64_t i) { work(i * kTokens, std::min(kTokens, N - i * kTokens)); });
}

template <class T>
Tensor forward(const Tensor& x, const Tensor& values, const Band& band, Precision p) {
  const std::vector<Block> blocks = blocks_of(band);
  const std::vector<Tensor> tiles = tiles_of<T>(band, blocks, values);
  const Tensor y = at::zeros({x.size(0), band.out}, x.options());
  for_each_piece(x.size(0), [&](int64_t first, int64_t n) {
    const Tensor x_n = x.narrow(0, first, n), y_n = y.narrow(0, first, n);
    for (size_t k = 0; k < blocks.size(); ++k) {
      const Block& b = blocks[k];
      y_n.narrow(1, b.row, b.rows).copy_(raw_product(x_n.narrow(1, b.column, b.columns), tiles[k].t(), p));
    }
  });
  return y;
}

template <class T>
BandedProductGrads backward(const Tensor& g, const Tensor& x, const Tensor& values, const Band& band, Precision p) {
  const std::vector<Block> blocks = blocks_of(band);
  const std::vector<Tensor> tiles = tiles_of<T>(band, blocks, values);
  const Tensor dx = at::zeros(x.sizes(), x.options()), dvalues = at::empty_like(values);
  for_each_piece(x.size(0), [&](int64_t first, int64_t n) {
    const Tensor g_n = g.narrow(0, first, n), dx_n = dx.narrow(0, first, n);
    for (size_t k = 0; k < blocks.size(); ++k) {
      const Block& b = blocks[k];
      dx_n.narrow(1, b.column, b.columns).add_(raw_product(g_n.narrow(1, b.row, b.rows), tiles[k], p));
    }
  });
  const std::vector<int64_t> offsets = band.offsets();
  T* packed = dvalues.mutable_data_ptr<T>();
  in_parallel(static_cast<int64_t>(blocks.size()), [&](int64_t k) {
    const Block& b = blocks[static_cast<size_t>(k)];
    const Tensor product = raw_product(g.narrow(1, b.row, b.rows).t(), x.narrow(1, b.column, b.columns), p).contiguous();
    const T* tile = product.const_data_ptr<T>();
    for_each_row(band, offsets, b, [&](int64_t to, int64_t from, int64_t n) { std::copy_n(tile + from, n, packed + to); });
  });
  return {dx, dvalues};
}

Precision precision(bool bf16) { return bf16 ? Precision::bf16 : Precision::fp32; }

Tensor banded_product_cpu(const Tensor& x, const Tensor& values, int64_t out, int64_t bandwidth, bool bf16) {
  check_banded_product(x, values, out, bandwidth);
  const Band band{out, x.size(1), bandwidth};
  const Tensor packed = values.contiguous();
  return x.scalar_type() == at::kDouble ? forward<double>(x, packed, band, precision(bf16))
                                        : forward<float>(x, packed, band, precision(bf16));
}

BandedProductGrads banded_product_backward_cpu(const Tensor& grad, const Tensor& x, const Tensor& values, int64_t out, int64_t bandwidth,
                                               bool bf16) {
  check_banded_product(x, values, out, bandwidth);
  const Band band{out, x.size(1), bandwidth};
  const Tensor packed = values.contiguous();
  return x.scalar_type() == at::kDouble ? backward<double>(grad, x, packed, band, precision(bf16))
                                        : backward<float>(grad, x, packed, band, precision(bf16));
}

}  // namespace

TORCH_LIBRARY_IMPL(assay, CPU, m) {
  m.impl("banded_product", banded_product_cpu);
  m.impl("banded_product_backward", banded_product_backward_cpu);
}

}  // namespace assay::ops
