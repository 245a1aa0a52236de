#include "assay/ops/banded_product/banded_windows.h"

#include <ATen/ops/bmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "assay/ops/banded_product/band_tables.h"
#include "assay/tensor/product.h"

namespace assay::ops {
namespace {

constexpr int64_t kWideRows = 64, kFewestRows = 16;  // of a block on the wide side; of one on the narrow side
constexpr int64_t kAligned = 8;                      // columns: 16 bytes of bf16, which tensor cores load at a time

int64_t up(int64_t n) { return (n + kAligned - 1) / kAligned * kAligned; }

// Rows of a block: as many as the waste allows (the columns that only some of its rows see), fewer until blocks are alike.
int64_t rows_of(const Band& band) {
  const int64_t ratio = std::max<int64_t>(1, band.in / band.out);
  int64_t rows = std::max(kFewestRows, kWideRows / ratio);
  while (rows > 1 && (band.out % rows != 0 || rows * band.in % band.out != 0)) rows /= 2;
  return rows;
}

}  // namespace

std::optional<BandWindows> BandWindows::of(const Band& band) {
  BandWindows w;
  w.rows = rows_of(band);
  if (band.out % w.rows != 0 || w.rows * band.in % band.out != 0) return std::nullopt;
  w.blocks = band.out / w.rows;
  w.step = w.rows * band.in / band.out;
  // Row j sees columns of [(2 j in - b min) / 2 out, (2 j in + b min) / 2 out]: block k those of block 0, moved by k steps.
  const int64_t reach = band.bandwidth * std::min(band.out, band.in);
  w.before = up(reach / (2 * band.out));
  const int64_t last = (2 * (w.rows - 1) * band.in + reach) / (2 * band.out);
  w.width = up(w.before + last + 1);
  if (w.width >= band.in) return std::nullopt;
  w.last = band.in - w.width;
  return w;
}

std::vector<BandWindows::Run> BandWindows::runs() const {
  std::vector<Run> all;
  for (int64_t k = 0; k < blocks; ++k) {
    const int64_t moved = k == 0 ? 0 : begin(k) - begin(k - 1);
    Run* run = all.empty() ? nullptr : &all.back();
    if (run != nullptr && run->count == 1) run->step = moved;
    if (run != nullptr && run->step == moved) ++run->count;
    else all.push_back({k, 1, begin(k), 0});
  }
  return all;
}

namespace {

// Where the packed weights stand in the tiles [blocks, rows, width], and back.
struct Places {
  Tensor tile_of_value;  // [count]: flat place in the tiles of each packed weight
  Tensor value_of_tile;  // [blocks rows width]: packed weight of each place, count where there is none
  Tensor transposed;     // [count]: packed weight of this matrix for each packed weight of its transpose
};

Places places_on(const Band& band, const BandWindows& w, const at::Device& device) {
  const auto options = at::TensorOptions().dtype(at::kLong);
  const std::vector<int64_t> offsets = band.offsets();
  const int64_t count = offsets.back();
  Places p{at::empty({count}, options), at::empty({w.blocks * w.rows * w.width}, options), at::empty({count}, options)};
  p.value_of_tile.fill_(count);
  int64_t *tile = p.tile_of_value.mutable_data_ptr<int64_t>(), *value = p.value_of_tile.mutable_data_ptr<int64_t>();
  for (int64_t j = 0, at = 0; j < band.out; ++j) {
    const Band::Interval row = band.row(j);
    for (int64_t i = row.first; i < row.end; ++i, ++at) {
      tile[at] = j * w.width + i - w.begin(j / w.rows);
      value[tile[at]] = at;
    }
  }
  int64_t* from = p.transposed.mutable_data_ptr<int64_t>();
  const Band turned{band.in, band.out, band.bandwidth};
  for (int64_t i = 0, at = 0; i < band.in; ++i) {
    const Band::Interval column = turned.row(i);
    for (int64_t j = column.first; j < column.end; ++j, ++at) from[at] = offsets[static_cast<size_t>(j)] + i - band.row(j).first;
  }
  return {p.tile_of_value.to(device), p.value_of_tile.to(device), p.transposed.to(device)};
}

const Places& places_of(const Band& band, const BandWindows& w, const at::Device& device) {
  static BandTables<Places> places;
  return places.of(band, device, [&] { return places_on(band, w, device); });
}

const Tensor& positions_of(const Band& band, const at::Device& device) {
  static BandTables<Tensor> positions;
  return positions.of(band, device, [&] { return band_positions(band).to(device); });
}

at::ScalarType operand(const Tensor& x, bool bf16) { return bf16 && x.scalar_type() != at::kDouble ? at::kBFloat16 : x.scalar_type(); }

// W[block, row, column of the window], zero outside of the band.
Tensor tiles_of(const Tensor& values, const Places& p, const BandWindows& w, at::ScalarType dtype) {
  const Tensor with_zero = at::cat({values.to(dtype), at::zeros({1}, values.options().dtype(dtype))});
  return with_zero.take(p.value_of_tile).view({w.blocks, w.rows, w.width});
}

// The windows of a run of blocks over x_NC, contiguous: [count, N, width], overlapping views.
Tensor windows_of(const Tensor& x, const BandWindows& w, const BandWindows::Run& run) {
  return x.as_strided({run.count, x.size(0), w.width}, {run.step, x.size(1), 1}, x.storage_offset() + run.begin);
}

Tensor product(const Tensor& x, const Tensor& values, const Band& band, const BandWindows& w, at::ScalarType dtype) {
  const Tensor in = x.to(dtype).contiguous(), tiles = tiles_of(values, places_of(band, w, x.device()), w, dtype);
  const Tensor y = at::empty({x.size(0), band.out}, in.options());
  const Tensor by_block = y.view({x.size(0), w.blocks, w.rows}).permute({1, 0, 2});  // each block writes its columns of y
  for (const BandWindows::Run& run : w.runs()) {
    Tensor out = by_block.narrow(0, run.first, run.count);
    at::bmm_out(out, windows_of(in, w, run), tiles.narrow(0, run.first, run.count).transpose(1, 2));
  }
  return y.to(x.scalar_type());
}

tensor::Precision precision(at::ScalarType operands) {
  return operands == at::kBFloat16 ? tensor::Precision::bf16 : tensor::Precision::fp32;
}

Tensor input_gradient(const Tensor& grad, const Tensor& values, const Band& band, const std::optional<BandWindows>& forward, bool bf16) {
  const Band turned{band.in, band.out, band.bandwidth};
  const std::optional<BandWindows> w = BandWindows::of(turned);
  if (!w || !forward) return tensor::raw_product(grad, banded_matrix(values, band), precision(operand(grad, bf16)));
  const Tensor columns = values.take(places_of(band, *forward, grad.device()).transposed);
  return product(grad, columns, turned, *w, operand(grad, bf16));
}

Tensor weight_gradient(const Tensor& grad, const Tensor& x, const Band& band, const std::optional<BandWindows>& w, bool bf16,
                       at::ScalarType values_dtype) {
  const at::ScalarType dtype = operand(x, bf16);
  const Tensor in = x.to(dtype).contiguous(), up = grad.to(dtype).contiguous();
  const bool widened = dtype == at::kBFloat16 && x.is_cuda();  // sums leave in float32, as those of a dense matrix do
  if (!w) {
    const Tensor dense = widened ? at::mm(up.t(), in, at::kFloat) : tensor::raw_product(up.t(), in, tensor::Precision::fp32);
    return dense.reshape({-1}).take(positions_of(band, dense.device())).to(values_dtype);
  }
  const Tensor g = up.view({x.size(0), w->blocks, w->rows}).permute({1, 2, 0});  // [blocks, rows, N]
  Tensor tiles = at::empty({w->blocks, w->rows, w->width}, in.options().dtype(widened ? at::kFloat : dtype));
  for (const BandWindows::Run& run : w->runs()) {
    Tensor out = tiles.narrow(0, run.first, run.count);
    const Tensor g_run = g.narrow(0, run.first, run.count), windows = windows_of(in, *w, run);
    if (widened) at::bmm_out(out, g_run, windows, at::kFloat);
    else at::bmm_out(out, g_run, windows);
  }
  return tiles.reshape({-1}).take(places_of(band, *w, x.device()).tile_of_value).to(values_dtype);
}

}  // namespace

Tensor banded_matrix(const Tensor& values, const Band& band) {
  const Tensor flat = at::zeros({band.out * band.in}, values.options());
  return flat.scatter(0, positions_of(band, values.device()), values).view({band.out, band.in});
}

Tensor banded_product_by_windows(const Tensor& x, const Tensor& values, int64_t out, int64_t bandwidth, bool bf16) {
  const Band band{out, x.size(1), bandwidth};
  if (const auto w = BandWindows::of(band)) return product(x, values, band, *w, operand(x, bf16));
  return tensor::raw_product(x, banded_matrix(values, band).t(), precision(operand(x, bf16)));
}

BandedProductGrads banded_gradients_by_windows(const Tensor& grad, const Tensor& x, const Tensor& values, int64_t out, int64_t bandwidth,
                                               bool bf16) {
  const Band band{out, x.size(1), bandwidth};
  const std::optional<BandWindows> w = BandWindows::of(band);
  return {input_gradient(grad, values, band, w, bf16), weight_gradient(grad, x, band, w, bf16, values.scalar_type())};
}

}  // namespace assay::ops
