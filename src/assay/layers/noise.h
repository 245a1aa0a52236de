#pragma once
#include "assay/tensor/aten.h"

namespace assay::layers {

// Random numbers as a function of (seed, name, step, index), the same on every device and for every shape: four numbers in (0, 1) for each
// index, [..., 4] float64, from the counter-based generator of core/random.h (the bits are those of core::Stream::block).
Tensor uniforms(uint64_t seed, std::string_view name, uint64_t step, const Tensor& index);
// `step` as an int64 scalar on the device.
Tensor uniforms(uint64_t seed, std::string_view name, const Tensor& step, const Tensor& index);

// -ln(-ln(u)): four standard Gumbel values for each of the uniforms' indices, in `dtype`.
Tensor gumbel(const Tensor& uniforms, at::ScalarType dtype);

// One index a position [B, T], independent of B and T: rows and positions keep their numbers when a batch grows.
Tensor position_index(int64_t rows, int64_t length, int64_t first, at::Device device);

}  // namespace assay::layers
