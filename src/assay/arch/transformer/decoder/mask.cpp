#include "assay/arch/transformer/decoder/mask.h"

#include <ATen/ops/where.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "assay/core/random.h"

namespace assay::arch::decoder {
namespace {

using Places = std::function<void(int64_t j, int64_t i)>;

void visit(const ops::Band& band, const Places& place) {
  for (int64_t j = 0; j < band.out; ++j) {
    const ops::Band::Interval row = band.row(j);
    for (int64_t i = row.first; i < row.end; ++i) place(j, i);
  }
}

core::Permutation shuffled(int64_t n, const std::string& name, uint64_t number) { return {static_cast<uint64_t>(n), 0, name, number}; }

int64_t image(const core::Permutation& p, int64_t i) { return static_cast<int64_t>(p(static_cast<uint64_t>(i))); }

void visit_blocks(const ops::Band& band, const Places& place) {
  const int64_t blocks = std::clamp<int64_t>(std::llround(1 / std::max(band.density(), 1e-9)), 1, std::min(band.out, band.in));
  for (int64_t j = 0; j < band.out; ++j)
    for (int64_t i = 0; i < band.in; ++i)
      if (j * blocks / band.out == i * blocks / band.in) place(j, i);
}

}  // namespace

const core::Schema& BandConfig::schema() {
  using core::option;
  static const core::Schema s = core::declare<BandConfig>(
      "model",
      {
          option("band_fc1", &BandConfig::band_fc1, "bandwidth of the MLP's first matrix, in hidden units; 0 = dense", 0, 1 << 20),
          option("band_fc2", &BandConfig::band_fc2, "bandwidth of the MLP's second matrix, in hidden units; 0 = dense", 0, 1 << 20),
          option("mask_at_init", &BandConfig::mask_at_init,
                 "the first pass sees the mask, too; false: it is dense, as in the later published experiments, and the audit says so"),
          option("init_rescale", &BandConfig::init_rescale, "initial weights that exist times 1/sqrt(density of their row)")
              .one_of({"none", "row_density"}),
          option(
              "band_control", &BandConfig::band_control,
              "instead of the band: its rows and columns permuted, random places, diagonal blocks, a narrower dense MLP of as many weights")
              .one_of({"none", "permuted", "random", "blocks", "narrower"}),
          option("band_storage", &BandConfig::band_storage,
                 "masked: whole matrices with zeros; packed: only the weights that exist, with a product that skips the rest")
              .one_of({"masked", "packed"}),
      });
  return s;
}

void BandConfig::check() const {
  if (!packed()) return;
  if (!on()) refuse("band_storage=packed needs a band: band_fc1 or band_fc2");
  if (band_control != "none") refuse("band_storage=packed holds a band; band_control=" + band_control + " has another shape");
  if (!mask_at_init)
    refuse("band_storage=packed has no weights outside of the band, so the first pass cannot be dense: it needs mask_at_init=true");
}

Tensor mask_of(const ops::Band& band, const std::string& control, const std::string& name) {
  Tensor mask = at::zeros({band.out, band.in}, at::TensorOptions().dtype(at::kDouble));
  double* entries = mask.data_ptr<double>();
  const auto keep = [&](int64_t j, int64_t i) { entries[j * band.in + i] = 1; };
  const std::string stream = "band/" + name;
  if (control == "permuted") {
    const core::Permutation rows = shuffled(band.out, stream, 0), columns = shuffled(band.in, stream, 1);
    visit(band, [&](int64_t j, int64_t i) { keep(image(rows, j), image(columns, i)); });
  } else if (control == "random") {
    for (int64_t j = 0; j < band.out; ++j) {
      const core::Permutation columns = shuffled(band.in, stream, static_cast<uint64_t>(j));
      for (int64_t i = 0; i < band.row(j).size(); ++i) keep(j, image(columns, i));
    }
  } else if (control == "blocks") {
    visit_blocks(band, keep);
  } else {
    visit(band, keep);
  }
  return mask;
}

Tensor row_rescale(const Tensor& mask) {
  const Tensor density = mask.mean(1);
  return at::where(density > 0, density.clamp_min(1e-30).rsqrt(), at::Scalar(1.0));
}

}  // namespace assay::arch::decoder
