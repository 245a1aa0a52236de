#include <ATen/ops/equal.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <doctest/doctest.h>

#include <cmath>

#include "assay/core/random.h"
#include "assay/layers/keep_mask.h"
#include "assay/layers/rotary.h"

using namespace assay;

namespace {

Tensor random(std::vector<int64_t> shape) {
  Tensor t = at::empty(shape, at::TensorOptions().dtype(at::kDouble));
  const core::Stream stream(3, "z");
  for (int64_t i = 0; i < t.numel(); ++i) t.data_ptr<double>()[i] = stream.normal(static_cast<uint64_t>(i));
  return t;
}

}  // namespace

TEST_CASE("a rotation keeps lengths, does nothing at position 0, and turns the first pair by one radian a position") {
  layers::Rotary turn(6, 10000, false);
  const Tensor z = random({2, 3, 5, 6}), y = turn(z);
  CHECK(at::equal(y.select(2, 0), z.select(2, 0)));
  CHECK((at::linalg_vector_norm(y, 2, {-1}) - at::linalg_vector_norm(z, 2, {-1})).abs().max().item().toDouble() < 1e-14);
  const double a = z[0][0][4][0].item().toDouble(), b = z[0][0][4][1].item().toDouble();
  CHECK(y[0][0][4][0].item().toDouble() == doctest::Approx(a * std::cos(4) - b * std::sin(4)));
  CHECK(y[0][0][4][1].item().toDouble() == doctest::Approx(a * std::sin(4) + b * std::cos(4)));
}

TEST_CASE("scores of rotated queries and keys depend on the distance alone; the vendor's helper has no such property") {
  const Tensor q = random({1, 1, 1, 8}).expand({1, 1, 9, 8}).contiguous(), k = random({1, 1, 2, 8}).narrow(2, 1, 1).expand({1, 1, 9, 8});
  for (bool vendor : {false, true}) {
    layers::Rotary turn(8, 10000, vendor);
    const Tensor a = turn(q), b = turn(k.contiguous());
    const auto score = [&](int64_t t, int64_t s) { return (a[0][0][t] * b[0][0][s]).sum().item().toDouble(); };
    CHECK((std::abs(score(5, 3) - score(8, 6)) < 1e-12) == !vendor);
  }
}

TEST_CASE("a dropout mask repeats, differs by row, batch, seed and site, and a prefix has the mask of the whole") {
  const auto mask = [](int64_t T, int64_t C, uint64_t seed, const char* site, uint64_t batch) {
    return layers::keep_mask(3, T, C, 16, 0.9, seed, site, batch, at::TensorOptions().dtype(at::kFloat));
  };
  const Tensor m = mask(16, 50, 1, "a", 0);
  CHECK(at::equal(m, mask(16, 50, 1, "a", 0)));
  CHECK_FALSE(at::equal(m, mask(16, 50, 2, "a", 0)));
  CHECK_FALSE(at::equal(m, mask(16, 50, 1, "b", 0)));
  CHECK_FALSE(at::equal(m, mask(16, 50, 1, "a", 1)));
  CHECK_FALSE(at::equal(m[0], m[1]));
  CHECK(at::equal(m.narrow(1, 0, 5), mask(5, 50, 1, "a", 0)));
  CHECK(m.mean().item().toDouble() == doctest::Approx(0.9).epsilon(0.02));
  CHECK(mask(16, 0, 1, "a", 0).sizes() == at::IntArrayRef({3, 16}));
}
