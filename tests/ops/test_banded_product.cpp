#include <ATen/ops/allclose.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <doctest/doctest.h>
#include <torch/csrc/autograd/autograd.h>

#include "assay/core/random.h"
#include "assay/ops/banded_product/band_blocks.h"
#include "assay/ops/banded_product/band_rows.h"
#include "assay/ops/banded_product/banded_windows.h"
#include "ops/op_case.h"

using namespace assay;
using testing::OpCase;
using testing::Tensors;

namespace {

Tensor random(const std::vector<int64_t>& shape, uint64_t seed, const char* name) {
  Tensor t = at::empty(shape, at::TensorOptions().dtype(at::kDouble));
  const core::Stream stream(seed, name);
  for (int64_t i = 0; i < t.numel(); ++i) t.data_ptr<double>()[i] = stream.normal(static_cast<uint64_t>(i));
  return t;
}

OpCase banded_case(int64_t N, int64_t out, int64_t in, int64_t bandwidth) {
  OpCase o;
  o.name =
      "banded_product N=" + std::to_string(N) + " " + std::to_string(out) + " x " + std::to_string(in) + " b=" + std::to_string(bandwidth);
  o.inputs = [=](uint64_t seed) {
    return Tensors{random({N, in}, seed, "x"), random({ops::Band{out, in, bandwidth}.count()}, seed, "values")};
  };
  o.op = [=](const Tensors& x) { return ops::banded_product(x[0], x[1], out, bandwidth); };
  o.op_bf16 = [=](const Tensors& x) { return ops::banded_product(x[0], x[1], out, bandwidth, true); };
  o.reference = [=](const Tensors& x) { return ops::banded_product_reference(x[0], x[1], out, bandwidth); };
  o.composite_bf16 = [=](const Tensors& x) {
    return ops::banded_product_reference(x[0].to(at::kBFloat16), x[1].to(at::kBFloat16), out, bandwidth).to(at::kFloat);
  };
  return o;
}

// Both orientations, ratios that are no integers, bandwidth 1 and odd ones, blocks cut short, more rows of x than a piece, a whole matrix,
// rows without a weight.
std::vector<OpCase> cases() {
  return {banded_case(3, 64, 16, 9),   banded_case(3, 16, 64, 9),     banded_case(5, 33, 10, 4),    banded_case(5, 10, 33, 7),
          banded_case(2, 64, 16, 1),   banded_case(2, 16, 64, 1),     banded_case(7, 7, 7, 3),      banded_case(4, 40, 10, 78),
          banded_case(4, 10, 40, 80),  banded_case(520, 130, 33, 21), banded_case(1, 200, 50, 16),  banded_case(1, 50, 200, 16),
          banded_case(9, 256, 64, 24), banded_case(9, 64, 256, 24),   banded_case(70, 128, 128, 11)};
}

}  // namespace

TEST_CASE("the banded product agrees with its reference on the CPU, values and gradients") {
  for (const OpCase& c : cases()) testing::check_op(c, at::Device(at::kCPU));
}

TEST_CASE("the banded product agrees with its reference on CUDA, values and gradients") {
  const at::Device* cuda = testing::cuda_or_skip();
  if (cuda == nullptr) return;
  for (const OpCase& c : cases()) testing::check_op(c, *cuda);
}

// The same numbers to both: operands rounded to bfloat16, the reference's products in float64.
TEST_CASE("with bfloat16 activations on CUDA the banded product agrees with its reference and repeats, whatever computes it") {
  const at::Device* cuda = testing::cuda_or_skip();
  if (cuda == nullptr) return;
  struct Shape {
    int64_t N, out, in, bandwidth;
  };
  // Whole and broken tiles of rows and of both sides, blocks that walk over several tiles, each window length for which there is a shape of tiles, gradients in
  // one launch and in two, ratios that are no integers, rows without a weight. Not by kernels: widths that are no multiple of eight, and densities above a quarter.
  for (const Shape& s :
       {Shape{1, 64, 16, 9},          Shape{7, 96, 40, 5},         Shape{7, 40, 96, 5},         Shape{130, 512, 128, 64},
        Shape{130, 128, 512, 64},     Shape{300, 256, 256, 64},    Shape{129, 200, 72, 1},      Shape{129, 72, 200, 255},
        Shape{70, 64, 64, 300},       Shape{1000, 1024, 256, 255}, Shape{1000, 256, 1024, 256}, Shape{9000, 512, 128, 64},
        Shape{9000, 128, 512, 64},    Shape{200, 4096, 1024, 512}, Shape{200, 1024, 4096, 512}, Shape{200, 4096, 1024, 1020},
        Shape{200, 1024, 4096, 1020}, Shape{130, 2048, 512, 1024}, Shape{70, 100, 36, 8},       Shape{70, 512, 128, 512}}) {
    INFO(s.N << " " << s.out << " x " << s.in << " b=" << s.bandwidth);
    const auto rounded = [](const Tensor& t) { return t.to(at::kBFloat16).to(at::kDouble); };
    const Tensor x = rounded(random({s.N, s.in}, 1, "x")), g = rounded(random({s.N, s.out}, 3, "g")),
                 values = rounded(random({ops::Band{s.out, s.in, s.bandwidth}.count()}, 2, "values"));
    const Tensor x_leaf = x.clone().requires_grad_(true), values_leaf = values.clone().requires_grad_(true);
    const Tensor want = ops::banded_product_reference(x_leaf, values_leaf, s.out, s.bandwidth);
    torch::autograd::backward({want}, {g});

    const Tensor weights = values.to(*cuda, at::kFloat);
    // Rows that do not lie one after the other, of x and of the gradient.
    const Tensor narrow = x.to(*cuda, at::kBFloat16), apart = narrow.t().contiguous().t(),
                 up = g.to(*cuda, at::kBFloat16).t().contiguous().t();
    std::vector<Tensor> first;
    for (const Tensor& in : {narrow, apart}) {
      const Tensor y = ops::banded_product(in, weights, s.out, s.bandwidth, true);
      const auto [dx, dvalues] = ops::banded_product_backward(up, in, weights, s.out, s.bandwidth, true);
      const auto off = [](const Tensor& got, const Tensor& right) {
        return ((got.to(at::kCPU).to(at::kDouble) - right).norm() / right.norm()).item().toDouble();
      };
      CHECK((y.scalar_type() == at::kBFloat16));
      CHECK((dx.scalar_type() == at::kBFloat16));
      CHECK((dvalues.scalar_type() == at::kFloat));
      CHECK(y.strides() == at::IntArrayRef{s.out, 1});  // as the Meta form says
      CHECK(dx.strides() == at::IntArrayRef{s.in, 1});
      CHECK(off(y, want) < 4e-3);
      CHECK(off(dx, x_leaf.grad()) < 4e-3);
      CHECK(off(dvalues, values_leaf.grad()) < 1e-5);
      if (first.empty()) first = {y, dx, dvalues};
      else CHECK((at::equal(first[0], y) && at::equal(first[1], dx) && at::equal(first[2], dvalues)));
    }
  }
}

TEST_CASE("CUDA: activations of a banded product may begin anywhere in their memory") {
  const at::Device* cuda = testing::cuda_or_skip();
  if (cuda == nullptr) return;
  const Tensor x = random({130, 128}, 1, "x").to(*cuda, at::kBFloat16),
               values = random({ops::Band{512, 128, 64}.count()}, 2, "values").to(*cuda, at::kFloat);
  const Tensor memory = at::empty({x.numel() + 1}, x.options()), off = memory.narrow(0, 1, x.numel()).view(x.sizes());
  off.copy_(x);
  const Tensor y = ops::banded_product(x, values, 512, 64, true).to(at::kFloat),
               z = ops::banded_product(off, values, 512, 64, true).to(at::kFloat);
  CHECK((y - z).norm().item().toDouble() < 4e-3 * y.norm().item().toDouble());
}

TEST_CASE("a gradient of another shape is refused") {
  const Tensor x = random({4, 10}, 1, "x"), values = random({ops::Band{40, 10, 8}.count()}, 2, "values");
  for (const Tensor& g : {random({4, 10}, 3, "g"), random({3, 40}, 3, "g"), random({160}, 3, "g")})
    CHECK_THROWS_WITH_AS(ops::banded_product_backward(g, x, values, 40, 8, false), doctest::Contains("[4, 40]"), c10::Error);
}

TEST_CASE("a band that covers everything is the dense product, and one row without weights gives zero") {
  const Tensor x = random({4, 10}, 1, "x"), W = random({40 * 10}, 1, "W");
  CHECK(at::allclose(ops::banded_product(x, W, 40, 80), x.matmul(W.view({40, 10}).t()), 1e-12, 1e-12));
  const Tensor few = at::ones({ops::Band{40, 10, 1}.count()}, x.options());
  const Tensor y = ops::banded_product(x, few, 40, 1);
  CHECK(ops::Band{40, 10, 1}.row(2).size() == 0);
  CHECK(y.select(1, 2).abs().max().item().toDouble() == 0);
  CHECK(at::allclose(y.select(1, 8), x.select(1, 2)));
}

TEST_CASE("blocks hold every entry of the band once, and little else where the band is narrow") {
  for (const ops::Band& band : {ops::Band{4096, 1024, 256}, ops::Band{1024, 4096, 256}, ops::Band{33, 10, 4}, ops::Band{10, 33, 7},
                                ops::Band{200, 50, 16}, ops::Band{64, 64, 300}}) {
    INFO(band.out << " x " << band.in << " b=" << band.bandwidth);
    const bool turned = band.in > band.out;
    int64_t inside = 0, from = 0;
    double entries = 0;
    for (const ops::BandBlock& b : ops::band_blocks(band)) {
      const int64_t first = turned ? b.column : b.row;
      CHECK(first >= from);  // the wide side is shared out
      from = first + (turned ? b.columns : b.rows);
      for (int64_t j = b.row; j < b.row + b.rows; ++j) {
        const ops::Band::Interval row = band.row(j);
        inside += std::max<int64_t>(0, std::min(row.end, b.column + b.columns) - std::max(row.first, b.column));
      }
      entries += b.entries();
    }
    CHECK(inside == band.count());
    if (std::max(band.in, band.out) == 4096) CHECK(entries < 1.26 * static_cast<double>(band.count()));
  }
}

TEST_CASE("tables for the kernels: a row's weights follow one another, and the windows hold what neighbours see") {
  for (const ops::Band& band : {ops::Band{4096, 1024, 256}, ops::Band{1024, 4096, 256}, ops::Band{33, 10, 4}, ops::Band{10, 33, 7},
                                ops::Band{200, 72, 1}, ops::Band{64, 64, 300}}) {
    INFO(band.out << " x " << band.in << " b=" << band.bandwidth);
    const ops::BandExtent extent(band);
    CHECK(extent.count == band.count());
    const ops::Band turned{band.in, band.out, band.bandwidth};
    const auto holds = [](const ops::Band& of, int64_t group, int64_t aligned, int64_t window) {
      const std::vector<ops::BandRow> rows = ops::band_rows(of);
      int64_t weights = 0;
      for (int64_t j = 0; j < of.out; ++j) {
        const ops::BandRow& r = rows[static_cast<size_t>(j)];
        const int64_t begin = rows[static_cast<size_t>(j / group * group)].first / aligned * aligned;
        if (r.end <= r.first) continue;
        CHECK(r.place + r.first == weights);
        CHECK(r.first >= begin);
        CHECK(r.end <= begin + window);
        weights += r.end - r.first;
      }
      CHECK(weights == of.count());
    };
    holds(band, ops::kOutputGroup, 16, extent.window);
    holds(turned, ops::kOutputGroup, 16, extent.transposed_window);
    holds(band.out >= band.in ? band : turned, ops::kWideTile, 8, extent.narrow_window);
  }
}

TEST_CASE("an empty batch gives an empty result") {
  CHECK(ops::banded_product(at::empty({0, 10}), at::ones({ops::Band{40, 10, 8}.count()}), 40, 8).sizes() == at::IntArrayRef{0, 40});
}

TEST_CASE("wrong shapes and dtypes are refused by name, and so is a second derivative") {
  const Tensor x = random({4, 10}, 1, "x"), values = random({ops::Band{40, 10, 8}.count()}, 1, "values");
  CHECK_THROWS_WITH_AS(ops::banded_product(x, values.narrow(0, 1, 5), 40, 8), doctest::Contains("[banded_product] values must be"),
                       c10::Error);
  CHECK_THROWS_WITH_AS(ops::banded_product(x.view({-1}), values, 40, 8), doctest::Contains("x must be [N, in]"), c10::Error);
  CHECK_THROWS_WITH_AS(ops::banded_product(x.to(at::kFloat), values, 40, 8), doctest::Contains("dtypes differ"), c10::Error);
  CHECK_THROWS_WITH_AS(ops::banded_product(x, values, 40, 0), doctest::Contains("at least 1"), c10::Error);
  Tensor leaf = x.clone().requires_grad_(true);
  CHECK_THROWS_WITH_AS(ops::banded_product_backward(random({4, 40}, 1, "g"), leaf, values, 40, 8, false),
                       doctest::Contains("second derivatives"), c10::Error);
}

TEST_CASE("by windows: one batch of dense products over overlapping views gives the reference's values and gradients") {
  struct Shape {
    int64_t N, out, in, bandwidth;
    bool windows;
  };
  for (const Shape& s :
       {Shape{9, 256, 64, 24, true}, Shape{9, 64, 256, 24, true}, Shape{9, 1024, 256, 65, true}, Shape{9, 256, 1024, 64, true},
        Shape{7, 128, 128, 11, true}, Shape{7, 96, 64, 6, false}, Shape{3, 33, 10, 4, false}, Shape{3, 64, 16, 128, false}}) {
    INFO(s.N << " " << s.out << " x " << s.in << " b=" << s.bandwidth);
    const ops::Band band{s.out, s.in, s.bandwidth};
    const auto windows = ops::BandWindows::of(band);
    if (s.windows) {
      REQUIRE(windows.has_value());
      CHECK(windows->width < s.in);
      int64_t blocks = 0;
      for (const ops::BandWindows::Run& run : windows->runs()) {
        CHECK(run.first == blocks);
        blocks += run.count;
        for (int64_t k = 0; k < run.count; ++k) CHECK(run.begin + k * run.step == windows->begin(run.first + k));
        CHECK(run.begin + (run.count - 1) * run.step + windows->width <= s.in);
      }
      CHECK(blocks == windows->blocks);
    }
    const Tensor x = random({s.N, s.in}, 1, "x").requires_grad_(true), values = random({band.count()}, 2, "values").requires_grad_(true),
                 g = random({s.N, s.out}, 3, "g");
    const Tensor want = ops::banded_product_reference(x, values, s.out, s.bandwidth);
    torch::autograd::backward({(want * g).sum()}, {});
    const at::NoGradGuard no_grad;
    CHECK(at::allclose(ops::banded_product_by_windows(x, values, s.out, s.bandwidth, false), want, 1e-12, 1e-12));
    const auto [dx, dvalues] = ops::banded_gradients_by_windows(g, x, values, s.out, s.bandwidth, false);
    CHECK(at::allclose(dx, x.grad(), 1e-12, 1e-12));
    CHECK(at::allclose(dvalues, values.grad(), 1e-12, 1e-12));
    const Tensor rough = ops::banded_product_by_windows(x.to(at::kFloat), values.to(at::kFloat), s.out, s.bandwidth, true);
    CHECK(at::allclose(rough.to(at::kDouble), want, 0.02, 0.05 * want.abs().max().item().toDouble()));
  }
}

TEST_CASE("errors of the banded product are those of the composite at most") {
  for (const at::Device* device : testing::devices())
    for (const OpCase& c : {banded_case(96, 512, 128, 64), banded_case(96, 128, 512, 64)}) testing::check_accuracy(c, *device);
}
