#include "assay/arch/transformer/decoder/position.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/stack.h>

#include <cmath>

namespace assay::arch::decoder {

const core::Schema& PositionConfig::schema() {
  using core::option;
  static const core::Schema s = core::declare<PositionConfig>(
      "model", {
                   option("position", &PositionConfig::position, "how a position is known").one_of({"learned", "rotary", "none"}),
                   option("rope_base", &PositionConfig::rope_base, "base of the rotary frequencies", 1, 1e9),
               });
  return s;
}

Rotation Rotation::of(int64_t T, int64_t d, double base, const at::TensorOptions& options) {
  const auto exact = options.dtype(at::kDouble);
  const Tensor frequency = (at::arange(d / 2, exact) * (-2 * std::log(base) / static_cast<double>(d))).exp();
  const Tensor angle_TD = at::arange(T, exact).unsqueeze(1) * frequency;
  return {angle_TD.cos().to(options.dtype()), angle_TD.sin().to(options.dtype())};
}

Tensor Rotation::operator()(const Tensor& z_BHTD) const {
  const Tensor pairs = z_BHTD.unflatten(-1, {-1, 2}), a = pairs.select(-1, 0), b = pairs.select(-1, 1);
  return at::stack({a * cos_TD - b * sin_TD, a * sin_TD + b * cos_TD}, -1).flatten(-2);
}

}  // namespace assay::arch::decoder
