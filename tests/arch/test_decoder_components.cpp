#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/zeros.h>
#include <doctest/doctest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "arch/helpers.h"
#include "assay/arch/transformer/decoder/blend.h"
#include "assay/arch/transformer/decoder/hebbian.h"
#include "assay/arch/transformer/decoder/mask.h"
#include "assay/arch/transformer/decoder/sort.h"
#include "assay/arch/transformer/decoder/token_shift.h"

using namespace assay;
namespace decoder = arch::decoder;

namespace {

Tensor doubles(const std::vector<int64_t>& shape, const std::vector<double>& values) {
  Tensor t = at::empty(shape, at::TensorOptions().dtype(at::kDouble));
  REQUIRE(static_cast<size_t>(t.numel()) == values.size());
  std::copy(values.begin(), values.end(), t.data_ptr<double>());
  return t;
}

Tensor scalar(double x) { return doubles({}, {x}); }

Tensor random(const std::vector<int64_t>& shape, const char* name) {
  Tensor t = at::empty(shape, at::TensorOptions().dtype(at::kDouble));
  const core::Stream stream(5, name);
  for (int64_t i = 0; i < t.numel(); ++i) t.data_ptr<double>()[i] = stream.normal(static_cast<uint64_t>(i));
  return t;
}

bool near(const Tensor& a, const Tensor& b, double tolerance = 1e-6) { return at::allclose(a, b, 0, tolerance); }

// The rows of the published examples of sort layer and blend.
Tensor three_rows() { return doubles({1, 3, 2}, {1, 0, 0, 1, 1, 1}); }

decoder::SortConfig sort_of(int64_t window, const char* sim = "dot") {
  decoder::SortConfig c;
  c.sort_window = window;
  c.sort_sim = sim;
  return c;
}

double count(const Tensor& mask) { return mask.sum().item().toDouble(); }

}  // namespace

TEST_CASE("the band has the published numbers of weights and densities at every width") {
  struct Row {
    int64_t width;
    std::vector<int64_t> kept;  // at bandwidths 64, 128, ..., 4096
  };
  const std::vector<Row> table{{128, {8056, 15472, 28768, 49216, 65536, 65536, 65536}},
                               {512, {33016, 65008, 127456, 246208, 459136, 786688, 1048576}},
                               {768, {49656, 98032, 193248, 377536, 721536, 1311232}},
                               {1024, {66296, 131056, 259040, 508864, 983936, 1835776}}};
  for (const Row& row : table)
    for (size_t i = 0; i < row.kept.size(); ++i) {
      const int64_t b = int64_t{64} << i;
      INFO("C=" << row.width << " b=" << b);
      CHECK(ops::Band{4 * row.width, row.width, b}.count() == row.kept[i]);
      CHECK(ops::Band{row.width, 4 * row.width, b}.count() == row.kept[i]);
    }
  const auto density = [](int64_t C, int64_t b) { return ops::Band{4 * C, C, b}.density(); };
  CHECK(density(768, 4096) == doctest::Approx(0.8890).epsilon(1e-4));
  CHECK(density(1024, 4096) == doctest::Approx(0.7501).epsilon(1e-4));
  for (const double beta : {0.1, 0.5, 1.5})
    CHECK(density(1024, std::llround(beta * 4096)) == doctest::Approx(beta * (1 - beta / 4)).epsilon(0.01));
  // Zeros of the published checkpoint: C=512, b=1024, eight layers.
  CHECK(8 * (4 * 512 * 512 - ops::Band{2048, 512, 1024}.count()) == 4715520);
}

TEST_CASE("a band is whole exactly from 2(4C-1) on, and not before") {
  for (const int64_t C : {16, 128, 512}) {
    const int64_t b = 2 * (4 * C - 1);
    CHECK(ops::Band{4 * C, C, b}.density() == 1);
    CHECK(ops::Band{4 * C, C, b - 1}.density() < 1);
    CHECK(ops::Band{4 * C, C, 100 * b}.density() == 1);
  }
}

TEST_CASE("the masks of the two matrices are transposes of each other, and the inequality holds entry by entry") {
  for (const auto& sides : std::vector<std::pair<int64_t, int64_t>>{{128, 32}, {33, 10}, {7, 7}, {50, 17}})
    for (const int64_t b : {1, 2, 7, 16, 61}) {
      const int64_t wide = sides.first, narrow = sides.second;
      INFO(wide << " x " << narrow << ", b=" << b);
      const Tensor fc1 = decoder::mask_of({wide, narrow, b}, "none", ""), fc2 = decoder::mask_of({narrow, wide, b}, "none", "");
      CHECK(at::equal(fc1, fc2.t()));
      for (int64_t j = 0; j < wide; ++j)
        for (int64_t i = 0; i < narrow; ++i)
          CHECK((fc1[j][i].item().toDouble() == 1) == (2 * std::abs(j * narrow - i * wide) <= b * narrow));
    }
}

TEST_CASE("controls of the band keep its number of weights: permuted exactly, random in every row, blocks by density") {
  const ops::Band band{64, 16, 13};
  const Tensor mask = decoder::mask_of(band, "none", "m"), permuted = decoder::mask_of(band, "permuted", "m"),
               random = decoder::mask_of(band, "random", "m");
  CHECK(count(permuted) == count(mask));
  CHECK_FALSE(at::equal(permuted, mask));
  CHECK(at::equal(std::get<0>(permuted.sum(1).sort()), std::get<0>(mask.sum(1).sort())));
  CHECK(at::equal(random.sum(1), mask.sum(1)));
  CHECK_FALSE(at::equal(random, mask));
  CHECK_FALSE(at::equal(decoder::mask_of(band, "permuted", "other"), permuted));
  CHECK(at::equal(decoder::mask_of(band, "permuted", "m"), permuted));
  const Tensor blocks = decoder::mask_of({64, 16, 17}, "blocks", "m");
  CHECK(blocks.mean().item().toDouble() == doctest::Approx(0.25));
  CHECK(blocks[0].sum().item().toDouble() == 4);
}

TEST_CASE("sort layer: the published example, and identity at a window of one") {
  const Tensor x = three_rows(), a = scalar(-2), tau = scalar(0);
  CHECK(near(decoder::sort(sort_of(2), x, a, tau), doubles({1, 3, 2}, {1, 0, 0.039365, 0.960635, 0.960635, 1}), 5e-7));
  CHECK(near(decoder::sort(sort_of(1), x, a, tau), x, 1e-7));
  CHECK(near(decoder::sort(sort_of(1, "cos"), x, a, tau), x, 1e-7));
}

TEST_CASE("sort layer: without similarity it is the mean of the window, and it may leave out the position itself") {
  const Tensor x = random({2, 5, 3}, "x"), a = scalar(0.3);
  const double alpha = 1 / (1 + std::exp(-0.3));
  const Tensor mean = decoder::sort(sort_of(3, "mean"), x, a, {});
  for (int64_t t = 0; t < 5; ++t) {
    const int64_t first = std::max<int64_t>(0, t - 2);
    const Tensor want = (1 - alpha) * x.select(1, t) + alpha * x.narrow(1, first, t - first + 1).mean(1);
    CHECK(near(mean.select(1, t), want));
  }
  decoder::SortConfig others = sort_of(2);
  others.sort_exclude_self = true;
  const Tensor y = decoder::sort(others, x, a, scalar(0));
  CHECK(near(y.select(1, 0), x.select(1, 0)));
  CHECK(near(y.select(1, 3), (1 - alpha) * x.select(1, 3) + alpha * x.select(1, 2)));
}

TEST_CASE("the published gradient of the sort layer's share lacks -G.x wherever the window holds more than one position") {
  const Tensor x = random({1, 6, 4}, "x"), G = random({1, 6, 4}, "G");
  const auto gradient = [&](int64_t window, const char* kind) {
    decoder::SortConfig c = sort_of(window);
    c.sort_alpha_grad = kind;
    const Tensor a = scalar(-1).requires_grad_(true);
    torch::autograd::backward({(decoder::sort(c, x, a, scalar(0.2)) * G).sum()}, {});
    return a.grad().item().toDouble();
  };
  const double alpha = 1 / (1 + std::exp(1.0));
  const double lost = alpha * (1 - alpha) * (G * x).narrow(1, 1, 5).sum().item().toDouble();  // all but t = 0
  CHECK(gradient(3, "shipped") == doctest::Approx(gradient(3, "correct") + lost));
  CHECK(std::abs(lost) > 0.01);
  CHECK(gradient(1, "shipped") == doctest::Approx(gradient(1, "correct")));
}

TEST_CASE("blend: the published example, the thinned first position, and its renormalised form") {
  decoder::BlendConfig c;
  c.blend_window = 2;
  CHECK(near(decoder::blend(c, three_rows(), at::zeros({2}, at::kDouble), scalar(-2)),
             doubles({1, 3, 2}, {0.940399, 0, 0.059601, 0.940399, 0.940399, 1}), 5e-7));
  c.blend_window = 8;
  const Tensor x = random({1, 5, 3}, "x"), a = scalar(-2), w = at::zeros({8}, at::kDouble);
  const double alpha = 1 / (1 + std::exp(2.0));
  CHECK(near(decoder::blend(c, x, w, a).select(1, 0), (1 - alpha * 7 / 8) * x.select(1, 0)));
  c.blend_renorm = true;
  const Tensor renormed = decoder::blend(c, x, w, a);
  CHECK(near(renormed.select(1, 0), x.select(1, 0)));
  CHECK(near(renormed.select(1, 2), (1 - alpha) * x.select(1, 2) + alpha * x.narrow(1, 0, 3).mean(1)));
}

TEST_CASE("token shift: the position before in a fixed share, the first position stays") {
  tensor::Params params(at::kCPU, at::kDouble, 0);
  const decoder::TokenShift shift(decoder::ShiftConfig{}, {params}, "shift");
  const Tensor x = random({2, 4, 3}, "x"), y = shift(x);
  CHECK(at::equal(y.select(1, 0), x.select(1, 0)));
  CHECK(near(y.select(1, 2), 0.73 * x.select(1, 2) + 0.27 * x.select(1, 1)));
  CHECK(at::equal(shift(x.narrow(1, 0, 1)), x.narrow(1, 0, 1)));
}

TEST_CASE("Hebbian pull: the published example in both modes") {
  const Tensor E = doubles({2, 1}, {1, 3}), u = testing::ids(1, 3, [](int64_t, int64_t t) { return t % 2; });
  decoder::HebbianConfig c;
  c.hebbian_window = 2;
  CHECK(near(decoder::hebbian_pulled(c, 0.1, E, u, 0), doubles({2, 1}, {1.4, 2.6}), 1e-12));
  c.hebbian_mode = "serial";
  CHECK(near(decoder::hebbian_pulled(c, 0.1, E, u, 0), doubles({2, 1}, {1.36, 2.64}), 1e-12));
}

TEST_CASE("Hebbian pull: the sum over the vocabulary stays, absent tokens stay, and controls do as they say") {
  const Tensor E = random({20, 33}, "E"), u = testing::ids(3, 9, [](int64_t r, int64_t t) { return (5 * r + 3 * t + t * t) % 13; });
  const auto pulled = [&](const char* mode, const char* pairs, bool normalised, int64_t number) {
    decoder::HebbianConfig c;
    c.hebbian_window = 4;
    c.hebbian_mode = mode;
    c.hebbian_pairs = pairs;
    c.hebbian_normalised = normalised;
    return decoder::hebbian_pulled(c, 0.02, E, u, number);
  };
  for (const char* mode : {"jacobi", "serial"})
    for (const char* pairs : {"neighbours", "shuffled", "centre"}) {
      INFO(mode << " " << pairs);
      const Tensor after = pulled(mode, pairs, false, 3);
      CHECK(near(after.sum(0), E.sum(0), 1e-9));
      CHECK(at::equal(after.narrow(0, 13, 7), E.narrow(0, 13, 7)));
      CHECK_FALSE(at::equal(after, E));
      CHECK(at::equal(after, pulled(mode, pairs, false, 3)));
    }
  CHECK_FALSE(at::equal(pulled("jacobi", "neighbours", false, 0), pulled("serial", "neighbours", false, 0)));
  CHECK(at::equal(pulled("jacobi", "neighbours", false, 0), pulled("jacobi", "neighbours", false, 1)));
  CHECK_FALSE(at::equal(pulled("jacobi", "shuffled", false, 0), pulled("jacobi", "shuffled", false, 1)));
  const double whole = (pulled("jacobi", "neighbours", false, 0) - E).abs().max().item().toDouble();
  CHECK((pulled("jacobi", "neighbours", true, 0) - E).abs().max().item().toDouble() < 0.5 * whole);
}

TEST_CASE("the strength of the pull falls to zero over the run where it is asked to") {
  decoder::HebbianConfig c;
  c.hebbian_eps = 0.4;
  const auto at_number = [&](const char* schedule, int64_t number, int64_t total) {
    c.hebbian_schedule = schedule;
    return decoder::hebbian_eps_at(c, {number, total});
  };
  CHECK(at_number("constant", 50, 100) == 0.4);
  CHECK(at_number("linear", 0, 100) == 0.4);
  CHECK(at_number("linear", 75, 100) == doctest::Approx(0.1));
  CHECK(at_number("cosine", 50, 100) == doctest::Approx(0.2));
  CHECK(at_number("cosine", 100, 100) == doctest::Approx(0).scale(1));
  CHECK(at_number("linear", 75, 0) == 0.4);
}
