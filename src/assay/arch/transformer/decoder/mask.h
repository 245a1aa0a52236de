#pragma once
#include "assay/arch/transformer/decoder/part.h"
#include "assay/ops/banded_product/band.h"

// Which weights of the two matrices of an MLP exist [components 2.1], and the shapes of equal density that tell what the band does from
// what having fewer weights does [components 2.6].
//   band        2 |j in - i out| <= b narrow
//   permuted    the band with its rows and its columns in random orders, other ones in every matrix, the same in every run
//   random      each row keeps its number of weights, at random columns
//   blocks      G = round(1/density) blocks on the diagonal
namespace assay::arch::decoder {

struct BandConfig {
  int64_t band_fc1 = 0, band_fc2 = 0;
  bool mask_at_init = true;
  std::string init_rescale = "none", band_control = "none", band_storage = "masked";
  static const core::Schema& schema();

  bool on() const { return band_fc1 > 0 || band_fc2 > 0; }
  bool packed() const { return band_storage == "packed"; }
  void check() const;
};

// 1 where the weight exists, else 0: [out, in], double.
Tensor mask_of(const ops::Band& band, const std::string& control, const std::string& name);

// sqrt(1/density) of each row [out], double; 1 for a row without weights.
Tensor row_rescale(const Tensor& mask);

}  // namespace assay::arch::decoder
