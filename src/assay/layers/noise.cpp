#include "assay/layers/noise.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/log.h>
#include <ATen/ops/stack.h>

#include "assay/core/hash.h"

namespace assay::layers {
namespace {

constexpr int64_t kLow = 0xFFFFFFFF;  // 32 bits in an int64

struct Product {
  Tensor high, low;
};

// Both halves of a 32 x 32 bit product; it may wrap around in int64, its bits stay right.
Product multiply(int64_t a, const Tensor& b) {
  const Tensor p = b * a;
  return {p.__rshift__(32).__and__(kLow), p.__and__(kLow)};
}

}  // namespace

Tensor uniforms(uint64_t seed, std::string_view name, uint64_t step, const Tensor& index) {
  return uniforms(seed, name, at::full({}, static_cast<int64_t>(step), index.options()), index);
}

Tensor uniforms(uint64_t seed, std::string_view name, const Tensor& step, const Tensor& index) {
  const uint64_t hash = core::hash64(name, seed);
  int64_t key0 = static_cast<int64_t>(hash & 0xFFFFFFFF), key1 = static_cast<int64_t>(hash >> 32);
  Tensor c0 = index.__and__(kLow), c1 = index.__rshift__(32).__and__(kLow);
  Tensor c2 = step.__and__(kLow).expand_as(index), c3 = step.__rshift__(32).__and__(kLow).expand_as(index);
  for (int round = 0; round < 10; ++round) {
    const Product p = multiply(0xD2511F53, c0), q = multiply(0xCD9E8D57, c2);
    c0 = q.high.__xor__(c1).__xor__(key0);
    c2 = p.high.__xor__(c3).__xor__(key1);
    c1 = q.low;
    c3 = p.low;
    key0 = (key0 + 0x9E3779B9) & kLow;
    key1 = (key1 + 0xBB67AE85) & kLow;
  }
  return (at::stack({c0, c1, c2, c3}, -1).to(at::kDouble) + 0.5) * 0x1p-32;
}

Tensor gumbel(const Tensor& uniforms, at::ScalarType dtype) { return -at::log(-at::log(uniforms)).to(dtype); }

Tensor position_index(int64_t rows, int64_t length, int64_t first, at::Device device) {
  const auto options = at::TensorOptions().dtype(at::kLong).device(device);
  return (at::arange(rows, options) * (int64_t{1} << 32)).unsqueeze(1) + at::arange(first, first + length, options);
}

}  // namespace assay::layers
