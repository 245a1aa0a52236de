#include <ATen/ops/softmax.h>
#include <ATen/ops/where.h>
#include <doctest/doctest.h>

#include <cmath>

#include "assay/core/error.h"
#include "assay/core/random.h"
#include "assay/layers/shift_max.h"

using namespace assay;

namespace {

Tensor random(std::vector<int64_t> shape, uint64_t seed, double size) {
  Tensor t = at::empty(shape, at::TensorOptions().dtype(at::kDouble));
  const core::Stream stream(seed, "z");
  for (int64_t i = 0; i < t.numel(); ++i) t.data_ptr<double>()[i] = size * stream.normal(static_cast<uint64_t>(i));
  return t;
}

Tensor row(std::initializer_list<double> values) {
  Tensor t = at::empty({static_cast<int64_t>(values.size())}, at::TensorOptions().dtype(at::kDouble));
  std::copy(values.begin(), values.end(), t.data_ptr<double>());
  return t;
}

void check_row(const Tensor& got, std::initializer_list<double> want) {
  int64_t i = 0;
  for (double w : want) CHECK(got[i++].item().toDouble() == doctest::Approx(w).epsilon(1e-4));
}

Tensor reference(const Tensor& z, int64_t k, double tau) {
  const Tensor u = (z - z.mean(-1, true)) / tau, r = u.abs() / static_cast<double>(k) + 1;
  const Tensor w = at::where(u >= 0, r, r.reciprocal()).pow(static_cast<double>(k));
  return w / w.sum(-1, true);
}

double largest(const Tensor& t) { return t.max().item().toDouble(); }
double smallest(const Tensor& t) { return t.min().item().toDouble(); }

}  // namespace

TEST_CASE("ShiftMax agrees with its definition, values and gradients, at every sharpness") {
  for (int64_t k : {1, 2, 3, 7})
    for (double tau : {1.0, 0.5}) {
      Tensor a = random({3, 5, 9}, 1, 2).requires_grad_(true), b = a.detach().clone().requires_grad_(true);
      const Tensor g = random({3, 5, 9}, 2, 1), got = layers::shift_max(a, k, tau), want = reference(b, k, tau);
      CHECK(largest((got - want).abs()) < 1e-15);
      got.backward(g);
      want.backward(g);
      CHECK(largest((a.grad() - b.grad()).abs()) < 1e-14);
      const Tensor narrow = layers::shift_max(a.detach().to(at::kFloat), k, tau).to(at::kDouble);
      CHECK(largest((narrow - want.detach()).abs()) < 1e-6);
      // Central differences, which know nothing of either.
      const at::NoGradGuard no_grad;
      for (const int64_t i : {int64_t{0}, int64_t{70}, int64_t{134}}) {
        Tensor x = a.detach().clone(), at_i = x.view({-1})[i];
        const auto value = [&](double step) {
          at_i.add_(step);
          return (layers::shift_max(x, k, tau) * g).sum().item().toDouble();
        };
        const double above = value(1e-6), below = value(-2e-6);
        CHECK(a.grad().view({-1})[i].item().toDouble() == doctest::Approx((above - below) / 2e-6).epsilon(1e-6));
      }
    }
}

TEST_CASE("the printed values: distributions and gradients of one row") {
  for (int64_t k : {1, 2}) {
    Tensor z = row({2, -1, 0.5, 0}).requires_grad_(true);
    const Tensor p = layers::shift_max(z, k);
    p[0].backward();
    if (k == 1) {
      check_row(p, {0.535897, 0.085958, 0.229670, 0.148474});
      check_row(z.grad(), {0.117727, 0.003584, -0.086424, -0.034887});
    } else {
      check_row(p, {0.600098, 0.064147, 0.206217, 0.129538});
      check_row(z.grad(), {0.150488, -0.004726, -0.098385, -0.047376});
    }
  }
}

TEST_CASE("the slope at u = 0 is 1, which differentiating |u| would lose") {
  Tensor z = row({1, 1, 1}).requires_grad_(true);
  layers::shift_max(z)[0].backward();
  check_row(z.grad(), {2.0 / 9, -1.0 / 9, -1.0 / 9});
}

TEST_CASE("negative log-likelihood: the value of -ln p and the gradient h (p - e) / tau, centred") {
  const Tensor targets = at::zeros({4}, at::TensorOptions().dtype(at::kLong)) + 2;
  for (int64_t k : {1, 3}) {
    Tensor a = random({4, 6}, 5, 3).requires_grad_(true), b = a.detach().clone().requires_grad_(true);
    const Tensor loss = layers::shift_max_nll(a, targets, k, 0.7), want = -layers::shift_max(b, k, 0.7).select(-1, 2).log();
    (loss * row({1, 2, -1, 0.5})).sum().backward();
    (want * row({1, 2, -1, 0.5})).sum().backward();
    CHECK(largest((loss - want).abs()) < 1e-14);
    CHECK(largest((a.grad() - b.grad()).abs()) < 1e-14);
  }
}

TEST_CASE("properties: a distribution, shift invariant, order preserving, never more confident than softmax, own derivative positive") {
  for (int64_t k : {1, 2, 4}) {
    INFO(k);
    Tensor z = random({400, 7}, 11, 3).requires_grad_(true);
    const Tensor p = layers::shift_max(z, k), q = at::softmax(z.detach(), -1);
    CHECK(smallest(p) > 0);
    CHECK(largest((p.sum(-1) - 1).abs()) < 1e-14);
    CHECK(largest((layers::shift_max(z + 5, k) - p).abs()) < 1e-13);
    CHECK((p.argsort(int64_t{-1}) == z.argsort(int64_t{-1})).all().item().toBool());
    CHECK(largest(p.amax(-1) - q.amax(-1)) <= 1e-12);
    const auto entropy = [](const Tensor& d) { return -(d * d.log()).sum(-1); };
    CHECK(smallest(entropy(p.detach()) - entropy(q)) >= -1e-12);
    // softmax majorises: its partial sums of sorted probabilities are the larger ones
    const Tensor sorted_p = std::get<0>(p.detach().sort(-1, true)).cumsum(-1), sorted_q = std::get<0>(q.sort(-1, true)).cumsum(-1);
    CHECK(largest(sorted_p - sorted_q) <= 1e-12);
    for (int64_t i = 0; i < 7; ++i) {
      z.mutable_grad() = Tensor();
      layers::shift_max(z, k).select(-1, i).sum().backward();
      CHECK(smallest(z.grad().select(-1, i)) > 0);
      CHECK(largest(z.grad().sum(-1).abs()) < 1e-12);
    }
  }
}

TEST_CASE("one logit at a gap over nine equals has the printed probability, and sharpness climbs to softmax") {
  const auto top = [](double gap, int64_t k) {
    Tensor z = at::zeros({10}, at::TensorOptions().dtype(at::kDouble));
    z[0] = gap;
    return layers::shift_max(z, k)[0].item().toDouble();
  };
  const std::vector<double> gaps{5, 10, 20, 50}, one{0.478, 0.690, 0.864, 0.968}, two{0.647, 0.883, 0.978, 0.999};
  for (size_t i = 0; i < gaps.size(); ++i) {
    CHECK(top(gaps[i], 1) == doctest::Approx(one[i]).epsilon(0.001));
    CHECK(top(gaps[i], 2) == doctest::Approx(two[i]).epsilon(0.001));
  }
  CHECK(top(5, 2000) == doctest::Approx(0.943).epsilon(0.002));
}

TEST_CASE("a sharpness below 1 and a temperature of 0 are refused") {
  const Tensor z = row({1, 2});
  CHECK_THROWS_WITH_AS(layers::shift_max(z, 0), doctest::Contains("k=0"), core::ConfigError);
  CHECK_THROWS_WITH_AS(layers::shift_max(z, 1, 0), doctest::Contains("tau"), core::ConfigError);
}
