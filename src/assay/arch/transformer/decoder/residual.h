#pragma once
#include "assay/arch/transformer/decoder/part.h"

// How a branch f joins the stream.
//   residual=plain      x <- x + f
//   residual=scaled     x <- x + f / sqrt(2L)
//   residual=gated      x <- x + g * f, a gain g [C] for every branch, 1 at the start
//   residual=parallel   x <- x + attn(N1 x) + mlp(N2 x): both branches read the same x
namespace assay::arch::decoder {

// The stream, or a stream and a branch whose sum is the stream: the norm that reads them adds while it reads, which saves a pass.
struct Stream {
  Tensor x, branch;  // branch undefined: x is the stream
  const Tensor& settled() {
    if (branch.defined()) x = x + branch;
    branch = Tensor();
    return x;
  }
};

struct ResidualConfig {
  std::string residual = "plain";
  bool residual_init = false;
  static const core::Schema& schema();
  bool parallel() const { return residual == "parallel"; }
  // Of the initial weights that write into the stream.
  double out_scale(int64_t layers) const;
};

class Residual {
 public:
  Residual() = default;
  Residual(const ResidualConfig& c, int64_t layers, int64_t width, const Builder& b, const std::string& name);
  Stream operator()(const Tensor& x, const Tensor& f) const;

 private:
  double scale_ = 1;
  Tensor gain_C_;
};

}  // namespace assay::arch::decoder
